// Every subscription of one application. One entry stands for one subscription: a connection may hold
// several, on the same channel too, and each is removed by itself or with its connection, never with
// somebody else's. There is one place to look for what a connection holds, so nothing of it stays behind.

import { ipcError } from '../base/errors.ts';
import { Audience } from './audience.ts';
import { PatternTrie } from './pattern-trie.ts';

/** What an entry must tell: whose it is. */
export interface Subscriber {
  readonly connection: object;
}

/** Where a subscription sits: a channel name, or a pattern. */
export interface Place {
  readonly filter: string;
  readonly pattern: boolean;
}

export interface Ended<S> {
  readonly subscriber: S;
  readonly place: Place;
}

export class Subscriptions<S extends Subscriber> {
  readonly #patterns = new PatternTrie<S>();
  readonly #audiences = new Map<string, Audience<S>>();
  readonly #places = new Map<S, Place>();
  readonly #ofConnection = new Map<S['connection'], Set<S>>();

  get size(): number {
    return this.#places.size;
  }

  /** How many connections hold a subscription. */
  get connectionCount(): number {
    return this.#ofConnection.size;
  }

  countOf(connection: S['connection']): number {
    return this.#ofConnection.get(connection)?.size ?? 0;
  }

  placeOf(subscriber: S): Place | undefined {
    return this.#places.get(subscriber);
  }

  /** `false` where this entry is there already; an entry sits in one place only. */
  add(subscriber: S, place: Place): boolean {
    const known = this.#places.get(subscriber);
    if (known !== undefined) {
      if (known.filter === place.filter && known.pattern === place.pattern) return false;
      throw ipcError('SYSTEM_UNEXPECTED', `one entry for two subscriptions: ${known.filter} and ${place.filter}`);
    }
    if (place.pattern) this.#patterns.add(place.filter, subscriber);
    else this.audience(place.filter).add(subscriber);
    this.#places.set(subscriber, place);
    const siblings = this.#ofConnection.get(subscriber.connection);
    if (siblings === undefined) this.#ofConnection.set(subscriber.connection, new Set([subscriber]));
    else siblings.add(subscriber);
    return true;
  }

  /** Gives the place where the entry was, `undefined` where it was not there. */
  remove(subscriber: S): Place | undefined {
    const place = this.#places.get(subscriber);
    if (place === undefined) return undefined;
    if (place.pattern) this.#patterns.remove(place.filter, subscriber);
    else this.#audiences.get(place.filter)?.remove(subscriber);
    this.#places.delete(subscriber);
    const siblings = this.#ofConnection.get(subscriber.connection);
    siblings?.delete(subscriber);
    if (siblings?.size === 0) this.#ofConnection.delete(subscriber.connection);
    return place;
  }

  /** Ends everything the connection holds. */
  removeAllOf(connection: S['connection']): readonly Ended<S>[] {
    const ended: Ended<S>[] = [];
    for (const subscriber of this.#ofConnection.get(connection) ?? []) {
      const place = this.remove(subscriber);
      if (place !== undefined) ended.push({ subscriber, place });
    }
    return ended;
  }

  /** Who hears the channel; made at the first question and kept until `forget`. */
  audience(channelId: string): Audience<S> {
    const known = this.#audiences.get(channelId);
    if (known !== undefined) return known;
    const audience = new Audience(channelId, this.#patterns);
    this.#audiences.set(channelId, audience);
    return audience;
  }

  /** The channel is gone: ends its direct subscriptions and gives them back. */
  forget(channelId: string): readonly S[] {
    const direct = [...(this.#audiences.get(channelId)?.direct ?? [])];
    for (const subscriber of direct) this.remove(subscriber);
    this.#audiences.delete(channelId);
    return direct;
  }
}
