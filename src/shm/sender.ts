// The sending half of a channel: what does not fit now waits in order, and goes when receivers have moved on.

import { abortError, IPCError, toError } from '../base/errors.ts';
import { invalidOption } from '../base/options.ts';
import type { Bell } from './bell.ts';
import type { ResolvedWait } from './options.ts';
import { type Ring, WAIT } from './ring.ts';
import { closedError, STATUS, timeoutError, withStatus } from './status.ts';
import { WaitingQueue } from './waiting.ts';

/** A thread that waits for room looks this often whether a receiver died with the ring full, in ms. */
const SLICE_MS = 20;
const SPIN_MICROS = 50;
const SLAB_BYTES = 128 * 1024;
const HEADER_BYTES = 16;
/** Larger messages are not copied into the slab of a batch but go by themselves. */
const BATCHED_BYTES = 16 * 1024;
const DONE = Promise.resolve();

/** What one call has still to send: one message, or many, of which `next` is the first that has not gone. */
interface Item {
  readonly messages: readonly Uint8Array[];
  /** How long they were when the call was made: what has become shorter meanwhile was transferred. */
  readonly lengths: readonly number[];
  next: number;
}

const itemOf = (messages: readonly Uint8Array[], next: number): Item => ({
  messages,
  lengths: messages.map(({ length }) => length),
  next,
});

export class Sender {
  readonly #ring: Ring;
  readonly #bell: Bell;
  readonly #waiting: WaitingQueue<void, Item>;
  #slab: Uint8Array = new Uint8Array(0);
  #lengths: Uint32Array = new Uint32Array(0);
  readonly #batchedBytes: number;
  /** Of whose message the addon holds how much of it has gone. */
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
    try {
      if (wait.signal?.aborted) throw withStatus('send', abortError(wait.signal));
      const begun = this.#waiting.size === 0;
      if (begun && this.#sendOne(bytes, false)) return DONE;
      if (wait.timeoutMs === 0) throw timeoutError('send', this.#ring.name, 0);
      const item = itemOf([bytes], 0);
      if (begun) this.#begun = item;
      return this.#wait(item, wait);
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /** What waits is one after the other on its way, as it was called; nothing comes between the messages of one call. */
  #wait(item: Item, wait: ResolvedWait): Promise<void> {
    const promise = this.#waiting.add(item, wait);
    // Behind others, whoever has room for them will get here.
    if (this.#waiting.size === 1) this.#pump();
    return promise;
  }

  /** False when there is no room now; `resume`: goes on with the message of which a part is in the ring. */
  #sendOne(bytes: Uint8Array, resume: boolean): boolean {
    const status = this.#ring.send(bytes, false, resume);
    if (status === STATUS.ok) return true;
    if (status === STATUS.full || status === STATUS.busy) return false;
    throw this.#ring.error('send', status);
  }

  /** True when all of it has been sent. */
  #attempt(item: Item): boolean {
    const { messages, lengths } = item;
    for (;;) {
      // One by itself needs no batch.
      if (messages.length > 1) item.next = this.#sendBatches(messages, item.next, lengths);
      const bytes = messages[item.next];
      if (bytes === undefined) return true;
      if (bytes.length !== lengths[item.next]) {
        throw withStatus('send', invalidOption('data', bytes, 'bytes that stay where they are until they are sent'));
      }
      const resume = this.#begun === item;
      this.#begun = undefined;
      if (!this.#sendOne(bytes, resume)) {
        this.#begun = item;
        return false;
      }
      item.next++;
    }
  }

  readonly #pump = (): void => {
    for (let item = this.#waiting.first; item; item = this.#waiting.first) {
      try {
        if (this.#attempt(item) || (this.#ring.spin(WAIT.space, SPIN_MICROS) && this.#attempt(item))) {
          this.#waiting.resolveFirst();
          continue;
        }
      } catch (error) {
        this.#waiting.rejectFirst(toError(error));
        continue;
      }
      this.#bell.listen(WAIT.space, this.#pump, true);
      if (!this.#bell.arm(WAIT.space)) return;
    }
    this.#bell.stop(WAIT.space);
  };

  /** Blocks the thread; what waits goes first. */
  sendSync(bytes: Uint8Array, timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    const own = itemOf([bytes], 0);
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
    for (let item = this.#waiting.first; item; item = this.#waiting.first) {
      try {
        if (!this.#attempt(item)) return;
        this.#waiting.resolveFirst();
      } catch (error) {
        this.#waiting.rejectFirst(toError(error));
      }
    }
  }

  /** Sends in batches, without waiting; gives how many of the messages, from the first on, were sent. */
  trySendMany(messages: readonly Uint8Array[]): number {
    if (this.#waiting.size > 0) return 0;
    const item: Item = { messages, lengths: [], next: 0 };
    return telling(item, () => {
      for (;;) {
        item.next = this.#sendBatches(messages, item.next);
        const next = messages[item.next];
        if (!next || next.length <= this.#batchedBytes || !this.trySend(next)) return item.next;
        item.next++;
      }
    });
  }

  async sendMany(messages: readonly Uint8Array[], wait: ResolvedWait): Promise<void> {
    if (wait.signal?.aborted) throw withStatus('send', abortError(wait.signal));
    const here: Item = { messages, lengths: [], next: 0 };
    if (this.#waiting.size === 0) telling(here, () => (here.next = this.#sendBatches(messages, 0)));
    if (here.next === messages.length) return;
    // Whoever waits must not find that the caller has changed the array.
    const item = itemOf(messages.slice(), here.next);
    try {
      if (wait.timeoutMs > 0) return await this.#wait(item, wait);
      if (this.#waiting.size > 0 || !this.#attempt(item)) throw timeoutError('send', this.#ring.name, 0);
    } catch (error) {
      throw withSent(error, item);
    } finally {
      if (this.#begun === item) this.#begun = undefined;
    }
  }

  /** Sends from `from` on until there is no room or a large message comes; gives the place of the first not sent. */
  #sendBatches(messages: readonly Uint8Array[], from: number, lengths?: readonly number[]): number {
    let sent = from;
    while (sent < messages.length) {
      const { bytes, count } = this.#pack(messages, sent, lengths);
      if (count === 0) break;
      const status = this.#ring.sendBatch(this.#slab, bytes);
      sent += this.#ring.count;
      if (status === STATUS.full || status === STATUS.busy) break;
      if (status !== STATUS.ok) throw this.#ring.error('send', status);
    }
    return sent;
  }

  /** Lays messages from `from` on into the slab, in the form in which the ring holds them; ends before one of another length. */
  #pack(
    messages: readonly Uint8Array[],
    from: number,
    expected: readonly number[] | undefined,
  ): { bytes: number; count: number } {
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
      if (expected !== undefined && message.length !== expected[i]) break;
      const end = (bytes + HEADER_BYTES + message.length + 15) & ~15;
      if (end > SLAB_BYTES) break;
      lengths[bytes >>> 2] = message.length;
      slab.set(message, bytes + HEADER_BYTES);
      bytes = end;
      count++;
    }
    return { bytes, count };
  }

  close(): void {
    this.#waiting.rejectAll(() => closedError('send', this.#ring.name));
  }
}

/** `details.sent`: how many of the messages have gone, from the first on. */
function withSent(error: unknown, { next }: Item): unknown {
  if (error instanceof IPCError) Object.assign(error.details, { sent: next });
  return error;
}

function telling<T>(item: Item, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw withSent(error, item);
  }
}
