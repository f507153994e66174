// What waits for one subscriber, bounded in bytes. What happens when it is full is the policy's business.

import type { OutboxPolicy } from '../protocol/policies.ts';
import type { Burst } from './burst.ts';
import type { Publication } from './publication.ts';
import { Run } from './run.ts';

/** What became of a message that was offered. */
export type Offered = 'kept' | 'full' | 'overflow';

/** Publishers are held up from here on: a longer queue makes nothing faster, it only grows old. */
const BLOCK_BYTES = 256 * 1024;
/** Messages may hold this much more than their own size, by the chunks that they arrived in. */
const PINNED_FACTOR = 4;

export class Outbox {
  readonly #policy: OutboxPolicy;
  readonly #bytesMax: number;
  readonly #id: number;
  #items: (Publication | Run | undefined)[] = [];
  /** For each item the memory that it holds beside those before it: 0 for one that shares their buffer. */
  #pins: number[] = [];
  #lastBuffer: ArrayBufferLike | undefined;
  #first = 0;
  #bytes = 0;
  /** What the waiting messages hold in memory: each buffer in which some of them arrived counts once. */
  #pinnedBytes = 0;
  #lost = 0;
  /** With `latest-only`: where the waiting message of each channel is, counted from the first ever kept here. */
  readonly #places = new Map<number, number>();
  /** How many stood before the first of `#items`. */
  #gone = 0;

  /** `id` is the subscription's number; 0 for one of an old client, which has none. */
  constructor(policy: OutboxPolicy, bytesMax: number, id: number) {
    this.#policy = policy;
    this.#id = id;
    this.#bytesMax = policy === 'block' ? Math.min(bytesMax, BLOCK_BYTES) : bytesMax;
  }

  get empty(): boolean {
    return this.#first === this.#items.length;
  }

  /** Nothing waits, and nothing has to be told first. */
  get idle(): boolean {
    return this.#first === this.#items.length && this.#lost === 0;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More waits than should. */
  get full(): boolean {
    return this.#bytes > this.#bytesMax;
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
   * Keeps the message as the policy says, or drops it where the client as a whole has no room. `full`: with
   * `block`, the publishers must pause; `overflow`: with `disconnect`, not kept and the subscriber must go.
   */
  offer(message: Publication, clientRoomBytes: number): Offered {
    const room = clientRoomBytes > 0;
    const bytesMax = Math.min(this.#bytesMax, this.#bytes + clientRoomBytes);
    const fits = (this.empty && room) || this.#bytes + message.bytes <= bytesMax;
    switch (this.#policy) {
      case 'block':
        if (room) this.#putLast(message);
        else this.#lost += 1;
        return fits || this.empty ? 'kept' : 'full';
      case 'drop-newest':
        if (fits) this.#push(message);
        else this.#lost += 1;
        return 'kept';
      case 'disconnect':
        if (!fits) return 'overflow';
        this.#push(message);
        return 'kept';
      default:
        if (room || !this.empty) {
          if (this.#policy === 'latest-only') this.#putLatest(message);
          else this.#push(message);
          this.#dropOldest(bytesMax);
        } else {
          this.#lost += 1;
        }
        return 'kept';
    }
  }

  /** As `offer`, several at once: with `block` alone, and where the client as a whole has room for them. */
  offerBurst(burst: Burst): Offered {
    this.#putLast(burst);
    return this.full ? 'full' : 'kept';
  }

  /**
   * What waits longest: one message, or several that stand in one piece, of which no more than begin within
   * `bytesMax`.
   */
  take(bytesMax = Number.POSITIVE_INFINITY): Publication | Run | undefined {
    if (this.empty) return undefined;
    const message = this.#items[this.#first] as Publication | Run;
    if (message.bytes > bytesMax && message instanceof Run) {
      const part = message.split(bytesMax);
      if (part !== undefined) {
        this.#bytes -= part.bytes;
        return part;
      }
    }
    this.#items[this.#first] = undefined;
    this.#first += 1;
    this.#bytes -= message.bytes;
    this.#unpin(this.#first - 1);
    if (this.#policy === 'latest-only') this.#places.delete(message.topic.number);
    if (this.#first === this.#items.length) {
      this.#gone += this.#first;
      this.#items = [];
      this.#pins = [];
      this.#first = 0;
      this.#lastBuffer = undefined;
    } else if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#gone += this.#first;
      this.#items = this.#items.slice(this.#first);
      this.#pins = this.#pins.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  /** Nobody waits for it any more. */
  clear(): void {
    this.#items = [];
    this.#pins = [];
    this.#places.clear();
    this.#first = 0;
    this.#bytes = 0;
    this.#pinnedBytes = 0;
    this.#lost = 0;
    this.#lastBuffer = undefined;
  }

  /** Where none is ever dropped, messages that stand one behind the other need not be told apart. */
  #putLast(message: Publication | Burst): void {
    const last = this.#items[this.#items.length - 1];
    if (last instanceof Run && message.join(last)) {
      this.#bytes += message.bytes;
      return;
    }
    this.#unburden(message);
    this.#add((this.#id === 0 ? undefined : message.asRun(this.#id)) ?? (message as Publication));
  }

  #push(message: Publication): void {
    this.#unburden(message);
    this.#add(message);
  }

  /**
   * What waits must not hold many chunks for a few bytes in each. A copy of every message would cost more than
   * the messages: it is made only when the chunks add up.
   */
  #unburden(message: Publication | Burst): void {
    if (this.#pinnedBytes > PINNED_FACTOR * Math.max(this.#bytesMax, this.#bytes)) message.detach();
  }

  #add(item: Publication | Run): void {
    const { buffer } = item;
    const pin = buffer === this.#lastBuffer ? 0 : buffer.byteLength;
    this.#lastBuffer = buffer;
    this.#pinnedBytes += pin;
    this.#pins.push(pin);
    this.#items.push(item);
    this.#bytes += item.bytes;
  }

  /** The item goes: what it held goes with it, or is held by the next one of the same buffer. */
  #unpin(index: number): void {
    const pin = this.#pins[index] as number;
    if (pin > 0 && this.#pins[index + 1] === 0) this.#pins[index + 1] = pin;
    else this.#pinnedBytes -= pin;
  }

  /**
   * A newer message of a channel takes the place of the one that waits: it neither loses its turn nor is it
   * looked for. Each holds memory of its own, so none is pinned by another.
   */
  #putLatest(message: Publication): void {
    message.detach();
    const place = this.#places.get(message.topic.number);
    if (place === undefined) {
      this.#places.set(message.topic.number, this.#gone + this.#items.length);
      this.#items.push(message);
      this.#pins.push(0);
    } else {
      const index = place - this.#gone;
      this.#bytes -= (this.#items[index] as Publication).bytes;
      this.#items[index] = message;
      this.#lost += 1;
    }
    this.#bytes += message.bytes;
  }

  #dropOldest(bytesMax: number): void {
    while (this.#bytes > bytesMax && this.size > 1) {
      this.take();
      this.#lost += 1;
    }
  }
}
