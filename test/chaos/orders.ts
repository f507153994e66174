// What a test tells an actor to be, and what actors say of themselves.

import type { ClientOptions, SubscribeOptions } from '../../src/client/index.ts';
import type { ServerOptions } from '../../src/server/index.ts';

/** How a client reaches the server: what of its options can be told to another process. */
export type ClientOrder = Pick<
  ClientOptions,
  | 'host'
  | 'port'
  | 'path'
  | 'url'
  | 'reconnect'
  | 'reconnectAttempts'
  | 'reconnectDelay'
  | 'connectionTimeout'
  | 'heartbeatInterval'
>;

export interface Numbered {
  /** Which life of which actor. */
  readonly tag: string;
  readonly n: number;
  /** Makes some messages large, so that a kill can hit them half-way. */
  readonly fill?: string;
}

export type ActorOrder = { readonly tag: string } & (
  | { readonly role: 'publisher'; readonly client: ClientOrder; readonly channels: readonly string[] }
  | {
      readonly role: 'subscriber';
      readonly client: ClientOrder;
      readonly pattern: string;
      readonly options: Omit<SubscribeOptions, 'signal'>;
      /** Milliseconds that each message takes; 0: none. */
      readonly slownessMs: number;
      /** Tells what it has seen once that, with what was lost, are so many messages. */
      readonly expected: number;
    }
  | { readonly role: 'caller'; readonly client: ClientOrder }
  | { readonly role: 'worker'; readonly client: ClientOrder }
  | {
      readonly role: 'server';
      readonly server: Pick<
        ServerOptions,
        'port' | 'path' | 'heartbeatIntervalMs' | 'handshakeTimeoutMs' | 'maxConnections'
      >;
      /** File to which each stored text is written before it is acknowledged. */
      readonly journal: string;
    }
  | {
      readonly role: 'heap';
      readonly path: string;
      readonly habit: string;
      readonly times: number;
      readonly bytesEachMax: number;
    }
);

/** Each event has one of these keys. */
export interface ActorEvent {
  readonly ready?: true;
  /** A server that listens when it is told to. */
  readonly standing?: true;
  /** Everything up to this number was published on every channel and confirmed. */
  readonly confirmed?: number;
  /** Numbers seen, in the order of their arrival. */
  readonly seen?: readonly number[];
  /** Messages dropped, as the subscriber was told. */
  readonly lost?: number;
  /** Answers so far. */
  readonly answered?: number;
  /** What should not have happened. */
  readonly fault?: string;
  readonly finished?: true;
  readonly connectionId?: string;
  readonly port?: number;
  /** What the server still held when everybody had left. */
  readonly leftovers?: Readonly<Record<string, number>>;
  readonly heap?: Readonly<Record<string, number>>;
}

/** What a role sees of the test that started it. */
export interface Stage {
  say(event: ActorEvent): void;
  /** Resolves when the test says this word. */
  told(word: string): Promise<void>;
}
