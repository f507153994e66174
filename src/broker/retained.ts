// The last value of each channel that keeps one, for subscribers who come late. Bounded in bytes for an
// application: when it is full, the value that was set longest ago goes first.

import { patternMatches } from '../protocol/names.ts';

export interface Kept<M> {
  /** A copy that may be held for long: it shares no memory with a buffer that is used again. */
  readonly message: M;
  readonly bytes: number;
}

export interface RetainedValue<C, M> {
  readonly channel: C;
  readonly message: M;
}

export class RetainedValues<C extends { readonly channelId: string }, M> {
  readonly #bytesMax: number;
  /** In the order they were set. */
  readonly #values = new Map<C, Kept<M>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#values.size;
  }

  has(channel: C): boolean {
    return this.#values.has(channel);
  }

  get(channel: C): M | undefined {
    return this.#values.get(channel)?.message;
  }

  /**
   * Replaces the channel's value and gives the channels that lost theirs for want of room. A value larger
   * than the whole room is not kept; the one before it goes all the same, because it is the last no more.
   */
  set(channel: C, kept: Kept<M>): readonly C[] {
    this.delete(channel);
    if (kept.bytes > this.#bytesMax) return [channel];
    this.#values.set(channel, kept);
    this.#bytes += kept.bytes;
    const evicted: C[] = [];
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
      evicted.push(oldest);
    }
    return evicted;
  }

  delete(channel: C): boolean {
    const known = this.#values.get(channel);
    if (known === undefined) return false;
    this.#bytes -= known.bytes;
    return this.#values.delete(channel);
  }

  /** The values of all channels that the pattern matches, the oldest first. */
  matching(pattern: string): readonly RetainedValue<C, M>[] {
    const found: RetainedValue<C, M>[] = [];
    for (const [channel, { message }] of this.#values) {
      if (patternMatches(pattern, channel.channelId)) found.push({ channel, message });
    }
    return found;
  }
}
