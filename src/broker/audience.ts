// Who hears one channel: its direct subscribers and the wildcard subscribers that match it, kept as one
// array that a publish walks. The array is never changed once given out, so whoever walks it is safe from
// subscriptions that come and go meanwhile; it is made anew at the first question after a change.

import type { PatternTrie } from './pattern-trie.ts';

const STALE = -1;

export class Audience<S extends object> {
  readonly #channelId: string;
  readonly #patterns: PatternTrie<S>;
  readonly #direct = new Set<S>();
  #receivers: readonly S[] = [];
  /** The version of the patterns that `#receivers` was made from. */
  #madeFrom = STALE;

  constructor(channelId: string, patterns: PatternTrie<S>) {
    this.#channelId = channelId;
    this.#patterns = patterns;
  }

  /** Direct and wildcard subscribers, one entry for each subscription. */
  get receivers(): readonly S[] {
    if (this.#madeFrom !== this.#patterns.version) this.#remake();
    return this.#receivers;
  }

  get direct(): ReadonlySet<S> {
    return this.#direct;
  }

  add(subscriber: S): void {
    this.#direct.add(subscriber);
    this.#madeFrom = STALE;
  }

  remove(subscriber: S): void {
    this.#direct.delete(subscriber);
    this.#madeFrom = STALE;
  }

  #remake(): void {
    this.#receivers = [...this.#direct, ...this.#patterns.match(this.#channelId)];
    this.#madeFrom = this.#patterns.version;
  }
}
