// What waits for one subscriber, bounded in bytes. What happens when it is full is the policy's business.

import type { OutboxPolicy } from '../protocol/policies.ts';
import type { Publication } from './publication.ts';

/** What became of a message that was offered. */
export type Offered = 'kept' | 'full' | 'overflow';

export class Outbox {
  readonly #policy: OutboxPolicy;
  readonly #bytesMax: number;
  #items: (Publication | undefined)[] = [];
  #first = 0;
  #bytes = 0;
  #lost = 0;

  constructor(policy: OutboxPolicy, bytesMax: number) {
    this.#policy = policy;
    this.#bytesMax = bytesMax;
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
    if (this.#first === this.#items.length) {
      this.#items = [];
      this.#first = 0;
    } else if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return message;
  }

  #push(message: Publication): void {
    // What waits must not hold the whole chunk that it arrived in.
    message.detach();
    this.#items.push(message);
    this.#bytes += message.bytes;
  }

  #dropOlderOf(channelNumber: number): void {
    for (let i = this.#first; i < this.#items.length; i += 1) {
      const item = this.#items[i] as Publication;
      if (item.channelNumber !== channelNumber) continue;
      this.#items.splice(i, 1);
      this.#bytes -= item.bytes;
      this.#lost += 1;
      return;
    }
  }
}
