// The sending half of a channel: what does not fit now waits in order, and goes when receivers have moved on.

import { abortError } from '../base/errors.ts';
import type { Bell } from './bell.ts';
import type { ResolvedWait } from './options.ts';
import { type Ring, WAIT } from './ring.ts';
import { STATUS, timeoutError, withStatus } from './status.ts';
import { WaitingQueue } from './waiting.ts';

/** A thread that waits for room looks this often whether a receiver died with the ring full, in ms. */
const SLICE_MS = 20;
const SPIN_MICROS = 50;
const SLAB_BYTES = 128 * 1024;
const HEADER_BYTES = 16;
/** Larger messages are not copied into the slab of a batch but go by themselves. */
const BATCHED_BYTES = 16 * 1024;
const DONE = Promise.resolve();

interface Item {
  readonly bytes: Uint8Array;
  /** A part of it is in the ring, or was tried to be put there: go on with it. */
  resume: boolean;
}

export class Sender {
  readonly #ring: Ring;
  readonly #bell: Bell;
  readonly #waiting: WaitingQueue<void, Item>;
  #slab: Uint8Array = new Uint8Array(0);
  #lengths: Uint32Array = new Uint32Array(0);
  readonly #batchedBytes: number;
  /** Whether the addon holds a message of which parts are sent. */
  #begun: Item | undefined;

  constructor(ring: Ring, bell: Bell) {
    this.#ring = ring;
    this.#bell = bell;
    this.#batchedBytes = Math.min(BATCHED_BYTES, ring.info.inlineLimit);
    this.#waiting = new WaitingQueue('send', ring.name, (item) => {
      if (this.#begun === item) this.#begun = undefined;
      this.#pump();
    });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** False when there is no room now. Never overtakes what waits. */
  trySend(bytes: Uint8Array): boolean {
    if (this.#waiting.size > 0) return false;
    const status = this.#ring.send(bytes, true, false);
    if (status === STATUS.ok) return true;
    if (status === STATUS.full || status === STATUS.busy) return false;
    throw this.#ring.error('send', status);
  }

  send(bytes: Uint8Array, wait: ResolvedWait): Promise<void> {
    const item: Item = { bytes, resume: false };
    try {
      if (wait.signal?.aborted) throw withStatus('send', abortError(wait.signal));
      if (this.#waiting.size === 0 && this.#attempt(item)) return DONE;
      if (wait.timeoutMs === 0) {
        this.#begun = undefined;
        throw timeoutError('send', this.#ring.name, 0);
      }
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    const promise = this.#waiting.add(item, wait);
    this.#pump();
    return promise;
  }

  #attempt(item: Item): boolean {
    const status = this.#ring.send(item.bytes, false, item.resume && this.#begun === item);
    if (status === STATUS.ok) {
      this.#begun = undefined;
      return true;
    }
    if (status !== STATUS.full && status !== STATUS.busy) throw this.#ring.error('send', status);
    item.resume = true;
    this.#begun = item;
    return false;
  }

  readonly #pump = (): void => {
    for (let item = this.#waiting.first; item; item = this.#waiting.first) {
      try {
        if (!this.#attempt(item)) {
          if (this.#ring.spin(WAIT.space, SPIN_MICROS) && this.#attempt(item)) {
            this.#waiting.resolveFirst();
            continue;
          }
          this.#bell.listen(WAIT.space, this.#pump, true);
          if (this.#bell.arm(WAIT.space)) continue;
          return;
        }
        this.#waiting.resolveFirst();
      } catch (error) {
        this.#waiting.rejectFirst(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#bell.stop(WAIT.space);
  };

  /** Blocks the thread; what waits goes first. */
  sendSync(bytes: Uint8Array, timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    const own: Item = { bytes, resume: false };
    for (;;) {
      this.#pumpOnce();
      if (this.#waiting.size === 0 && this.#attempt(own)) return;
      const left = deadline - performance.now();
      if (left <= 0) {
        if (this.#begun === own) this.#begun = undefined;
        throw timeoutError('send', this.#ring.name, timeoutMs);
      }
      if (this.#ring.spin(WAIT.space, SPIN_MICROS)) continue;
      this.#ring.wait(WAIT.space, Math.max(1, Math.min(SLICE_MS, Math.ceil(left))));
    }
  }

  #pumpOnce(): void {
    for (let item = this.#waiting.first; item && this.#attempt(item); item = this.#waiting.first) {
      this.#waiting.resolveFirst();
    }
  }

  /** Sends in batches, without waiting; gives how many of the messages, from the first on, were sent. */
  trySendMany(messages: readonly Uint8Array[]): number {
    let sent = this.#sendBatches(messages, 0);
    for (let next = messages[sent]; next && next.length > this.#batchedBytes; next = messages[sent]) {
      if (!this.trySend(next)) break;
      sent = this.#sendBatches(messages, sent + 1);
    }
    return sent;
  }

  async sendMany(messages: readonly Uint8Array[], wait: ResolvedWait): Promise<void> {
    const deadline = performance.now() + wait.timeoutMs;
    let sent = this.#sendBatches(messages, 0);
    // Whoever waits must not find that the caller has changed the array.
    const rest = sent < messages.length ? messages.slice() : messages;
    for (let next = rest[sent]; next; next = rest[sent]) {
      const left = Math.max(0, deadline - performance.now());
      // One waits, or goes, as a single message does; when it has gone there is room for more.
      await this.send(next, { timeoutMs: left, signal: wait.signal });
      sent = this.#sendBatches(rest, sent + 1);
    }
  }

  /** Sends from `from` on until there is no room or a large message comes; gives the place of the first not sent. */
  #sendBatches(messages: readonly Uint8Array[], from: number): number {
    let sent = from;
    while (this.#waiting.size === 0 && sent < messages.length) {
      const { bytes, count } = this.#pack(messages, sent);
      if (count === 0) break;
      const status = this.#ring.sendBatch(this.#slab, bytes);
      sent += this.#ring.count;
      if (status === STATUS.full || status === STATUS.busy) break;
      if (status !== STATUS.ok) throw this.#ring.error('send', status);
    }
    return sent;
  }

  /** Lays messages from `from` on into the slab, in the form in which the ring holds them. */
  #pack(messages: readonly Uint8Array[], from: number): { bytes: number; count: number } {
    if (this.#slab.length === 0) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#lengths = new Uint32Array(this.#slab.buffer, this.#slab.byteOffset, SLAB_BYTES / 4);
    }
    const limit = this.#batchedBytes;
    const slab = this.#slab;
    const lengths = this.#lengths;
    let bytes = 0;
    let count = 0;
    for (let i = from; i < messages.length; i++) {
      const message = messages[i];
      if (message === undefined || message.length > limit) break;
      const end = (bytes + HEADER_BYTES + message.length + 15) & ~15;
      if (end > SLAB_BYTES) break;
      lengths[bytes >>> 2] = message.length;
      slab.set(message, bytes + HEADER_BYTES);
      bytes = end;
      count++;
    }
    return { bytes, count };
  }

  close(error: Error): void {
    this.#waiting.rejectAll(error);
  }
}
