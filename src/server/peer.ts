// One connected client as the rest of the server and its users see it, whatever protocol it speaks.

import type { IPCError } from '../base/errors.ts';
import type { Message } from '../protocol/messages.ts';
import type { PeerAddress } from '../transports/wire.ts';
import type { RunningCall } from './answer.ts';
import type { ForwardedCall } from './forwarded-call.ts';
import type { ServerMessage } from './message.ts';
import { Rate } from './rate.ts';
import type { Subscriber } from './subscriber.ts';
import type { ServerApplication } from './types.ts';

export interface PeerRequestOptions {
  /** Milliseconds, 1 to 2^31-1. Default 5000. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Facts of a connection that were settled by its handshake. */
export interface PeerFacts {
  /** Issued by the server; never what the client says. */
  readonly id: string;
  /** What an old client calls itself; a label, trusted for nothing. */
  readonly label: string | undefined;
  readonly name: string | undefined;
  /** What `authenticate` returned. */
  readonly identity: unknown;
  readonly application: ServerApplication;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
}

export abstract class Peer {
  readonly id: string;
  readonly label: string | undefined;
  readonly name: string | undefined;
  readonly identity: unknown;
  readonly application: ServerApplication;
  readonly connectedAt: number;
  readonly address: PeerAddress;
  readonly protocol: 'native' | 'json';
  readonly #subscribers = new Set<Subscriber>();
  readonly rate = new Rate();
  /** What a user wants to remember about the connection. */
  data: unknown;

  constructor(facts: PeerFacts, address: PeerAddress, protocol: 'native' | 'json') {
    this.id = facts.id;
    this.label = facts.label;
    this.name = facts.name;
    this.identity = facts.identity;
    this.application = facts.application;
    this.connectedAt = facts.connectedAt;
    this.address = address;
    this.protocol = protocol;
    this.data = undefined;
  }

  get appId(): string {
    return this.application.appId;
  }

  /** The subscriptions of this connection. */
  get subscribers(): ReadonlySet<Subscriber> {
    return this.#subscribers;
  }

  addSubscriber(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  removeSubscriber(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  /** Writes what waits, after a time of congestion. Those served last time stand behind the others. */
  flushSubscribers(): void {
    for (const subscriber of [...this.#subscribers]) {
      if (this.congested) return;
      if (!subscriber.waiting) continue;
      this.#subscribers.delete(subscriber);
      this.#subscribers.add(subscriber);
      subscriber.flush();
    }
  }

  /** Milliseconds since the epoch. */
  abstract get lastActivity(): number;
  abstract get bytesIn(): number;
  abstract get bytesOut(): number;
  /** Bytes for this client which the system has not taken. */
  abstract get waitingBytes(): number;
  /** Too much is waiting to be written. */
  abstract get congested(): boolean;
  /** Initial credit of a stream towards this client, in bytes. */
  abstract get streamWindowBytes(): number;

  /** Sends a notification on a channel to this client alone. Throws `USAGE_CLOSED`, `USAGE_UNSERIALIZABLE`. */
  abstract notify(channelId: string, payload: unknown): void;
  /**
   * Asks this client and gives its answer. Rejects with what its handler threw, `REMOTE_NO_HANDLER`,
   * `REMOTE_LOST`, `TIME_OUT`, `TIME_CANCELLED`.
   */
  abstract request(channelId: string, payload: unknown, options?: PeerRequestOptions): Promise<Message>;
  /** Ends the connection; the client is told why. */
  abstract close(error?: IPCError): void;

  /** Answers a request of this client with encoded bytes. */
  abstract respond(request: ServerMessage, content: number, bytes: Uint8Array): void;
  /** Answers a request of this client with an error. */
  abstract fail(request: ServerMessage, error: IPCError): void;
  abstract streamData(request: ServerMessage, content: number, bytes: Uint8Array): void;
  abstract streamEnd(request: ServerMessage): void;
  /** An answer of this request will come later. */
  abstract track(request: ServerMessage, call: RunningCall | ForwardedCall): void;
  /** A request of this client has ended, however. */
  abstract callEnded(request: ServerMessage): void;
}
