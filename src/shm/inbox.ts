// Messages on their way out of the ring: one call of the addon moves as many as there are into a slab, and
// each becomes a Buffer over its part of it. A slab is not written again before all of its Buffers were
// collected, so they are the user's; except where messages are borrowed: those share one slab, which the
// next ones overwrite.

import { markAsUntransferable } from 'node:worker_threads';
import type { Ring } from './ring.ts';
import { shmError, STATUS } from './status.ts';

const SLAB_BYTES = 128 * 1024;
const HEADER_BYTES = 16;
/** A message larger than this gets memory of its own. */
const OWN_MEMORY_BYTES = SLAB_BYTES / 4;
const MAX_BATCH = 1 << 20;
const ANY_SIZE = 0x7fff_ffff;

type BufferOver = new (memory: ArrayBufferLike, offset: number, length: number) => Buffer;
// Buffer.from(memory, offset, length) checks and dispatches; the class behind it is three times as fast.
const species: unknown = Reflect.get(Buffer, Symbol.species);
const FastBuffer: BufferOver | undefined =
  typeof species === 'function' && species !== Buffer ? (species as BufferOver) : undefined;

function bufferOver(memory: ArrayBufferLike, offset: number, length: number): Buffer {
  return FastBuffer ? new FastBuffer(memory, offset, length) : Buffer.from(memory, offset, length);
}

export class Inbox {
  /** The number of the message that `take` gave last, and how many were lost before it. */
  sequence = -1;
  missed = 0;

  readonly #ring: Ring;
  readonly #maxBatch: number;
  #slab: ArrayBufferLike = new ArrayBuffer(0);
  #words: Uint32Array = new Uint32Array(0);
  #next = 0;
  #free = 0;
  #left = 0;
  /** Whether the slab is the one of borrowed messages. */
  #lent = false;
  /** Buffers over the slab of borrowed messages, by a sixteenth of their offset: most messages find theirs here. */
  #lentBuffers: (Buffer | undefined)[] = [];
  /** Where large borrowed messages are put. */
  #place: Uint8Array = new Uint8Array(0);
  #large: { data: Buffer; sequence: number; missed: number } | undefined;

  constructor(ring: Ring) {
    this.#ring = ring;
    // A latest channel is about what is newest when it is asked for.
    this.#maxBatch = ring.info.latest === 1 ? 1 : MAX_BATCH;
  }

  /** How many messages are here already. */
  get waiting(): number {
    return this.#left + (this.#large ? 1 : 0);
  }

  /**
   * The next message; undefined when there is none. A borrowed one lies in memory that the next calls use.
   * One of more than `largest` bytes stays in the ring, as if there were none.
   * Throws when this receiver was evicted, or the region is broken.
   */
  take(borrow: boolean, largest = ANY_SIZE): Buffer | undefined {
    if (this.#left === 0) return this.#fill(borrow, largest);
    const data = this.#fromSlab();
    return this.#lent && !borrow ? Buffer.from(data) : data;
  }

  /** How many bytes of the next message were put there; undefined when there is none, -1 - n when its n bytes do not fit. */
  takeInto(place: Uint8Array): number | undefined {
    if (this.waiting > 0) {
      const bytes = this.#large && this.#left === 0 ? this.#large.data.length : (this.#words[this.#next >>> 2] ?? 0);
      if (bytes > place.length) return -1 - bytes;
      const data = this.take(true);
      if (data) place.set(data);
      return bytes;
    }
    const ring = this.#ring;
    const status = ring.receiveInto(place);
    if (status === STATUS.empty) return undefined;
    if (status === STATUS.needsSpace) return -1 - ring.bytes;
    if (status !== STATUS.ok && status !== STATUS.large) throw ring.error('receive', status);
    const { bytes } = ring;
    if (status === STATUS.large && bytes > place.length) {
      this.#keepLarge();
      return -1 - bytes;
    }
    this.#note();
    if (status === STATUS.large) ring.takeLargeInto(place);
    return bytes;
  }

  #note(): void {
    this.sequence = this.#ring.sequence;
    this.missed = this.#ring.missed;
  }

  #keepLarge(): void {
    const { sequence, missed } = this.#ring;
    const memory = this.#ring.takeLarge();
    this.#large = { data: bufferOver(memory, 0, memory.byteLength), sequence, missed };
  }

  #fill(borrow: boolean, largest: number): Buffer | undefined {
    if (this.#large) {
      const { data, sequence, missed } = this.#large;
      this.#large = undefined;
      this.sequence = sequence;
      this.missed = missed;
      return data;
    }
    const ring = this.#ring;
    // What the addon says of a handle that it does not have any more is left from the call before.
    if (!ring.isOpen) throw ring.error('receive', STATUS.empty);
    if (borrow !== this.#lent) this.#newSlab(borrow);
    // Nothing of a lent slab is still needed when it is asked for more.
    if (borrow) this.#free = 0;
    // What is lent and comes in chunks is put together where it is lent.
    const batched = borrow ? Math.min(largest, SLAB_BYTES - HEADER_BYTES) : largest;
    for (;;) {
      if (this.#slab.byteLength - this.#free < HEADER_BYTES) this.#newSlab(borrow);
      this.#next = this.#free;
      const status = ring.receiveBatch(this.#free, this.#maxBatch, batched);
      this.#left = ring.count;
      this.#free = ring.used;
      if (status === STATUS.large && borrow && this.#left === 0) {
        const { bytes } = ring;
        this.#note();
        ring.takeLargeInto(this.#placeFor(bytes));
        return bufferOver(this.#place.buffer, 0, bytes);
      }
      if (status === STATUS.large) this.#keepLarge();
      if (this.#left > 0) return this.#fromSlab();
      if (status === STATUS.large) return this.#fill(borrow, largest);
      // Without messages: all there was has been looked at.
      if (status === STATUS.empty) return undefined;
      if (status !== STATUS.needsSpace) throw ring.error('receive', status);
      if (ring.bytes > largest) return undefined;
      if (ring.bytes > OWN_MEMORY_BYTES) return borrow ? this.#borrowed(ring.bytes) : this.#owned();
      this.#newSlab(borrow);
    }
  }

  #owned(): Buffer | undefined {
    const got = this.#ring.receiveOwned();
    // On a channel that drops, another message may have taken its place meanwhile, or none.
    if (got === STATUS.empty) return undefined;
    if (typeof got === 'number' && got !== STATUS.large) throw this.#ring.error('receive', got);
    this.#note();
    const memory = typeof got === 'number' ? this.#ring.takeLarge() : got;
    return bufferOver(memory, 0, memory.byteLength);
  }

  #borrowed(bytes: number): Buffer | undefined {
    const got = this.takeInto(this.#placeFor(bytes));
    if (got === undefined) return undefined;
    return got < 0 ? this.take(false) : bufferOver(this.#place.buffer, 0, got);
  }

  #placeFor(bytes: number): Uint8Array {
    if (this.#place.length < bytes) this.#place = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
    return this.#place;
  }

  #fromSlab(): Buffer {
    const at = this.#next >>> 2;
    const bytes = this.#words[at];
    if (bytes === undefined) throw this.#lost();
    this.missed = this.#words[at + 1] ?? 0;
    this.sequence = (this.#words[at + 2] ?? 0) + (this.#words[at + 3] ?? 0) * 4_294_967_296;
    const start = this.#next + HEADER_BYTES;
    this.#next = (start + bytes + 15) & ~15;
    this.#left--;
    if (!this.#lent) return bufferOver(this.#slab, start, bytes);
    const used = this.#lentBuffers[start >>> 4];
    if (used !== undefined && used.length === bytes) return used;
    return (this.#lentBuffers[start >>> 4] = bufferOver(this.#slab, start, bytes));
  }

  /** The program has transferred the memory that a received Buffer shares with the messages behind it. */
  #lost(): Error {
    const messages = this.#left;
    this.#left = this.#free = this.#next = 0;
    const text = `channel '${this.#ring.name}': ${messages} messages lay in memory that was transferred`;
    return shmError('receive', 'USAGE_RELEASED', text, { messages });
  }

  #newSlab(lent: boolean): void {
    this.#slab = this.#slabMemory();
    this.#words = new Uint32Array(this.#slab);
    this.#lent = lent;
    this.#lentBuffers = lent ? Array.from({ length: SLAB_BYTES / 16 }) : [];
    this.#free = 0;
    this.#next = 0;
  }

  #slabMemory(): ArrayBufferLike {
    const kept = this.#ring.newSlab(SLAB_BYTES);
    if (typeof kept !== 'number') return kept;
    if (kept !== STATUS.unsupported) throw this.#ring.error('receive', kept);
    // Not zeroed: the addon writes before anything is read.
    const memory = Buffer.allocUnsafeSlow(SLAB_BYTES);
    // As the addon's own is not: other messages lie in it.
    markAsUntransferable(memory.buffer);
    this.#ring.setSlab(memory);
    return memory.buffer;
  }
}
