// One connection to a server, whatever protocol it speaks: what the client asks of it and what it asks of
// the client.

import { type IPCError, ipcError } from '../base/errors.ts';
import type { Message } from '../protocol/messages.ts';
import type { PayloadCodec } from '../protocol/payload.ts';
import type { TickResult } from '../session/session.ts';
import type { Acknowledgement, Pending } from './calls.ts';
import type { Welcome } from './handshake.ts';
import type { RequestHandler } from './serving.ts';
import type { Subscription } from './subscription.ts';
import type { Timekeeper } from './timekeeper.ts';

export interface Link {
  /** What the server said about itself. Only after `opened`. */
  readonly welcome: Welcome;
  /** Operations that are not answered. */
  readonly pending: number;
  /** Bytes of publishes that wait for credit. */
  readonly queuedBytes: number;
  readonly bytesIn: number;
  readonly bytesOut: number;

  /** Begins with the handshake; the owner's `opened` or `closed` follows. */
  open(): void;
  /** Says goodbye; `closed` follows. */
  close(error: IPCError): void;
  /** Ends at once; `closed` follows. */
  destroy(error: IPCError): void;
  /** To be called every now and then. */
  heartbeat(now: number): TickResult;

  request(pending: Pending, channel: string, value: unknown, timeoutMs: number, streams: boolean): void;
  notify(channel: string, value: unknown): void;
  publish(channel: string, value: unknown, retain: boolean, confirm: Acknowledgement | undefined): void;
  /** Would a publish leave at once? */
  publishes(channel: string): boolean;
  /** Calls `run` once when a publish may leave at once, or the connection has ended. Gives what prevents it. */
  whenPublishes(channel: string, run: () => void): () => void;
  subscribe(subscription: Subscription): Promise<unknown>;
  unsubscribe(id: number): Promise<unknown>;
  /** Forgets a subscription that was refused. */
  dropSubscription(id: number): void;
  serve(fields: object): { readonly id: number; readonly acknowledged: Promise<unknown> };
  unserve(id: number): Promise<unknown>;
  ping(pending: Pending): void;
}

/** What a connection asks of the client that it belongs to. */
export interface LinkOwner {
  readonly appId: string;
  readonly hello: object;
  readonly times: Timekeeper;
  readonly codec: PayloadCodec | undefined;
  readonly outboxBytesMax: number;
  readonly publishQueueBytesMax: number;
  readonly requestsMax: number;
  /** Milliseconds since the epoch. */
  now(): number;
  handlerOf(channel: string): RequestHandler | undefined;
  notified(message: Message): void;
  /** An error that nobody awaits. */
  report(error: IPCError): void;
  /** The server has ended a subscription that it had agreed to. */
  subscriptionEnded(subscription: Subscription, error: IPCError): void;
  /** The handshake is done. */
  opened(link: Link): void;
  /** The connection has gone, those who wait on it are about to be told: nothing may be sent on it. */
  leaving(link: Link): void;
  /** The connection has gone; called exactly once, last. */
  closed(link: Link, error: IPCError): void;
}

/** What those are told who wait for something on a connection that has ended with `error`. */
export function lossOf(error: IPCError): IPCError {
  if (error.code === 'USAGE_CLOSED') return error;
  return ipcError('NETWORK_LOST', `the connection ended: ${error.message}`, { cause: error });
}

/** What is said of publishes that waited for credit when the connection ended, and that nobody awaits. */
export function unpublished(unsent: number, lost: IPCError): IPCError {
  const text = `${unsent} messages that waited for credit were not published: ${lost.message}`;
  return ipcError(lost.code, text, { cause: lost, details: { unsent } });
}
