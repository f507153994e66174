// What waits for one subscriber, bounded in bytes. What happens when it is full is the policy's business.

import type { OutboxPolicy } from '../protocol/policies.ts';
import type { Publication } from './publication.ts';

/** What became of a message that was offered. */
export type Offered = 'kept' | 'full' | 'overflow';

/** Publishers are held up from here on: a longer queue makes nothing faster, it only grows old. */
const BLOCK_BYTES = 256 * 1024;
/** Messages may hold this much more than their own size, by the chunks that they arrived in. */
const PINNED_FACTOR = 4;

export class Outbox {
  readonly #policy: OutboxPolicy;
  readonly #bytesMax: number;
  #items: (Publication | undefined)[] = [];
  /** For each item the memory that it holds beside those before it: 0 for one that shares their buffer. */
  #pins: number[] = [];
  #lastBuffer: ArrayBufferLike | undefined;
  #first = 0;
  #bytes = 0;
  /** What the waiting messages hold in memory: each buffer in which some of them arrived counts once. */
  #pinnedBytes = 0;
  #lost = 0;

  constructor(policy: OutboxPolicy, bytesMax: number) {
    this.#policy = policy;
    this.#bytesMax = policy === 'block' ? Math.min(bytesMax, BLOCK_BYTES) : bytesMax;
  }

  get empty(): boolean {
    return this.#first === this.#items.length;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Half empty again: blocked publishers may go on. */
  get roomy(): boolean {
    return this.#bytes * 2 <= this.#bytesMax;
  }

  /** Messages dropped since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Whether anything was dropped that the subscriber does not know of. */
  get hasLost(): boolean {
    return this.#lost > 0;
  }

  /**
   * Keeps the message as the policy says. `full`: with `block`, kept but the publishers must pause;
   * `overflow`: with `disconnect`, not kept and the subscriber must go.
   */
  offer(message: Publication): Offered {
    if (this.#policy === 'latest-only') this.#dropOlderOf(message.channelNumber);
    const fits = this.#bytes + message.bytes <= this.#bytesMax || this.empty;
    switch (this.#policy) {
      case 'block':
        this.#push(message);
        return fits ? 'kept' : 'full';
      case 'drop-newest':
        if (fits) this.#push(message);
        else this.#lost += 1;
        return 'kept';
      case 'disconnect':
        if (!fits) return 'overflow';
        this.#push(message);
        return 'kept';
      default:
        this.#push(message);
        while (this.#bytes > this.#bytesMax && this.size > 1) {
          this.take();
          this.#lost += 1;
        }
        return 'kept';
    }
  }

  take(): Publication | undefined {
    if (this.empty) return undefined;
    const message = this.#items[this.#first] as Publication;
    this.#items[this.#first] = undefined;
    this.#first += 1;
    this.#bytes -= message.bytes;
    this.#unpin(this.#first - 1);
    if (this.#first === this.#items.length) {
      this.#items = [];
      this.#pins = [];
      this.#first = 0;
      this.#lastBuffer = undefined;
    } else if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#pins = this.#pins.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  #push(message: Publication): void {
    // What waits must not hold many chunks for a few bytes in each. A copy of every message would cost more
    // than the messages: it is made only when the chunks add up.
    if (this.#pinnedBytes > PINNED_FACTOR * this.#bytesMax || this.#policy === 'latest-only') message.detach();
    const { buffer } = message.payload;
    const pin = buffer === this.#lastBuffer ? 0 : buffer.byteLength;
    this.#lastBuffer = buffer;
    this.#pinnedBytes += pin;
    this.#pins.push(pin);
    this.#items.push(message);
    this.#bytes += message.bytes;
  }

  /** The item goes: what it held goes with it, or is held by the next one of the same buffer. */
  #unpin(index: number): void {
    const pin = this.#pins[index] as number;
    if (pin > 0 && this.#pins[index + 1] === 0) this.#pins[index + 1] = pin;
    else this.#pinnedBytes -= pin;
  }

  #dropOlderOf(channelNumber: number): void {
    for (let i = this.#first; i < this.#items.length; i += 1) {
      const item = this.#items[i] as Publication;
      if (item.channelNumber !== channelNumber) continue;
      this.#unpin(i);
      this.#items.splice(i, 1);
      this.#pins.splice(i, 1);
      this.#bytes -= item.bytes;
      this.#lost += 1;
      return;
    }
  }
}
