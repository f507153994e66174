// The last value of each channel that keeps one, for subscribers who come late. Bounded in bytes for an
// application and, through a room that all share, for a server: when either is full, the value of this
// application that was set longest ago goes first.

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

/** What all applications of a server may keep together. */
export interface SharedRoom {
  readonly bytesMax: number;
  bytes: number;
}

export class RetainedValues<C extends { readonly channelId: string }, M> {
  readonly #bytesMax: number;
  readonly #shared: SharedRoom;
  /** In the order they were set. */
  readonly #values = new Map<C, Kept<M>>();
  #bytes = 0;

  constructor(bytesMax: number, shared: SharedRoom) {
    this.#bytesMax = bytesMax;
    this.#shared = shared;
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
   * Replaces the channel's value and gives the channels that lost theirs for want of room: others, or this
   * one itself when the value is larger than all the room there is. The value before goes in any case,
   * because it is the last no more.
   */
  set(channel: C, kept: Kept<M>): readonly C[] {
    this.delete(channel);
    if (kept.bytes > Math.min(this.#bytesMax, this.#shared.bytesMax)) return [channel];
    this.#values.set(channel, kept);
    this.#grow(kept.bytes);
    const evicted: C[] = [];
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#bytesMax && this.#shared.bytes <= this.#shared.bytesMax) break;
      this.delete(oldest);
      evicted.push(oldest);
    }
    return evicted;
  }

  delete(channel: C): boolean {
    const known = this.#values.get(channel);
    if (known === undefined) return false;
    this.#grow(-known.bytes);
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

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#shared.bytes += bytes;
  }
}
