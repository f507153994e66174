// The words that all files of the broker share. The broker knows neither what a connection is nor how a
// message looks; whoever uses it says so once, in one type that is handed through.

import type { Subscriber } from './subscriptions.ts';

/** The types of the layer above, in one place. */
export interface BrokerTypes {
  /** A connection; compared by identity only. */
  readonly connection: object;
  /** One subscription of a connection. */
  readonly subscriber: Subscriber;
  /** What handlers and middleware are given. */
  readonly message: unknown;
  /** A message on its way to subscribers: what is delivered, kept as last value, or said as last will. */
  readonly publication: unknown;
  /** What handlers and middleware are told besides the message. */
  readonly context: unknown;
  /** A request on its way to a worker; compared by identity only. */
  readonly request: object;
  /** What `Channel.publish` takes besides the payload, and what it gives back. */
  readonly publishOptions: unknown;
  readonly published: unknown;
}

/**
 * Called for a message of its kind. For a request, what it returns (or the promise of it) is the response,
 * and what it throws reaches the caller as an error.
 */
export type Handler<B extends BrokerTypes> = (message: B['message'], context: B['context']) => unknown;

/** Said for a connection that went without goodbye. */
export interface Will<M> {
  readonly channelId: string;
  readonly message: M;
}
