// Lays outgoing frames into slabs, so that a turn's frames leave in one write. A large payload is never
// copied: it is a part of its own behind its header, and neither is a run of frames that stand in memory
// already as they are to be sent. A body over FRAGMENT_BYTES is cut into pieces, and
// frames of other channels pass between them; frames of the same channel (or, without a channel, of
// the same id) wait their turn behind it, which keeps the order promised for each channel.

import { HEADER_BYTES, FrameFlag, FrameType, LENGTH_BYTES } from '../protocol/frame-types.ts';
import { writeHeader, writeUint32 } from '../protocol/codec.ts';
import { FRAGMENT_BYTES } from '../protocol/limits.ts';
import { SLAB_BYTES, type SlabPool } from './slab-pool.ts';

/** Up to here a copy is cheaper than a part of its own. */
export const COPY_BYTES_MAX = 8 * 1024;
/** Bodies in pieces at a time: docs/protocol.md, "Pieces". */
const INTERLEAVED_MAX = 16;
const PREFIX_BYTES = LENGTH_BYTES + HEADER_BYTES;
const EMPTY = new Uint8Array(0);

/** What one write takes: the parts in order, and the slabs to give back when it is done. */
export interface Batch {
  readonly parts: Uint8Array[];
  readonly slabs: Uint8Array[];
  readonly bytes: number;
}

/** A body that goes out in pieces, and the frames that must not pass it. */
interface LargeBody {
  readonly number: number;
  readonly channel: number;
  readonly id: number;
  readonly total: number;
  /** Header and extensions, then payload. */
  readonly head: Uint8Array;
  readonly payload: Uint8Array;
  sent: number;
  readonly behind: (() => void)[];
}

export class FrameWriter {
  readonly #pool: SlabPool;
  #slab: Uint8Array | undefined;
  #used = 0;
  #begin = 0;
  #parts: Uint8Array[] = [];
  #slabs: Uint8Array[] = [];
  #partBytes = 0;
  #large: LargeBody[] = [];
  #largeBytes = 0;
  #largeNumber = 0;
  /** Frames that stand one behind the other in memory that was lent to us: `lent[lentStart, lentEnd)`. */
  #lent: Uint8Array | undefined;
  #lentStart = 0;
  #lentEnd = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Bytes laid out and not taken yet, large bodies included. */
  get pendingBytes(): number {
    return this.#laidOutBytes + this.#largeBytes;
  }

  /** Whether a large body is on its way in pieces. */
  get cutting(): boolean {
    return this.#large.length > 0;
  }

  /** Lays one frame out. `payload` is copied when small, else it must not change until it was written. */
  frame(
    type: number,
    flags: number,
    content: number,
    id: number,
    channel: number,
    value: number,
    payload: Uint8Array = EMPTY,
    extensions: Uint8Array = EMPTY,
  ): void {
    if (this.#large.length > 0) {
      const ahead = this.#inTheWay(channel, id);
      if (ahead !== undefined) {
        this.#largeBytes += payload.length;
        ahead.behind.push(() => {
          this.#largeBytes -= payload.length;
          this.frame(type, flags, content, id, channel, value, payload, extensions);
        });
        return;
      }
    }
    const allFlags = extensions.length > 0 ? flags | FrameFlag.EXTENSIONS : flags;
    const headBytes = HEADER_BYTES + extensions.length;
    const bodyBytes = headBytes + payload.length;
    if (bodyBytes > FRAGMENT_BYTES) {
      const head = new Uint8Array(headBytes);
      writeHeader(head, 0, type, allFlags, content, id, channel, value);
      head.set(extensions, HEADER_BYTES);
      this.#addLarge(channel, id, head, payload);
      return;
    }
    const copied = payload.length <= COPY_BYTES_MAX;
    const at = this.#reserve(LENGTH_BYTES + headBytes + (copied ? payload.length : 0));
    const slab = this.#slab as Uint8Array;
    writeUint32(slab, at, bodyBytes);
    writeHeader(slab, at + LENGTH_BYTES, type, allFlags, content, id, channel, value);
    if (extensions.length > 0) slab.set(extensions, at + PREFIX_BYTES);
    if (copied) {
      if (payload.length > 0) slab.set(payload, at + LENGTH_BYTES + headBytes);
    } else {
      this.#part(payload);
    }
  }

  /**
   * Lays out a frame that stands whole, its length before it, in `memory[start, end)`, which must not change
   * until it was written. Frames that follow each other there leave as one part, without a copy. Not while a
   * large body is on its way: nobody looks whether the frame must wait behind it.
   */
  lend(memory: Uint8Array, start: number, end: number): void {
    if (this.#lent === memory && this.#lentEnd === start) {
      this.#lentEnd = end;
      return;
    }
    this.#takeLent();
    this.#lent = memory;
    this.#lentStart = start;
    this.#lentEnd = end;
  }

  /** As `lend`, of a copy, which may be changed at once where it stands: from the position given, in `slab`. */
  copy(memory: Uint8Array, start: number, end: number): { readonly slab: Uint8Array; readonly at: number } {
    const at = this.#reserve(end - start);
    const slab = this.#slab as Uint8Array;
    slab.set(memory.subarray(start, end), at);
    return { slab, at };
  }

  /** Lays out a body as it is, with its length before it: the old JSON protocol. */
  body(body: Uint8Array): void {
    const copied = body.length <= COPY_BYTES_MAX;
    const at = this.#reserve(LENGTH_BYTES + (copied ? body.length : 0));
    writeUint32(this.#slab as Uint8Array, at, body.length);
    if (copied) (this.#slab as Uint8Array).set(body, at + LENGTH_BYTES);
    else this.#part(body);
  }

  /** Lays out all that is left of the large bodies: nothing passes them any more, and nothing is copied. */
  cutAll(): void {
    while (this.#large.length > 0) this.#piece();
  }

  /**
   * Gives what one write should carry: all that is small, then pieces of large bodies in turn until
   * `bytesMax` is reached. Undefined when there is nothing.
   */
  take(bytesMax: number): Batch | undefined {
    this.#takeLent();
    while (this.#large.length > 0 && this.#laidOutBytes < bytesMax) this.#piece();
    this.#cut();
    if (this.#parts.length === 0) return undefined;
    const batch: Batch = { parts: this.#parts, slabs: this.#slabs, bytes: this.#partBytes };
    this.#parts = [];
    this.#slabs = [];
    this.#partBytes = 0;
    if (this.#slab !== undefined) {
      batch.slabs.push(this.#slab);
      this.#slab = undefined;
      this.#used = 0;
      this.#begin = 0;
    }
    return batch;
  }

  /** Gives the memory of a batch back, once it was written. */
  release(batch: Batch): void {
    for (const slab of batch.slabs) if (slab.length === SLAB_BYTES) this.#pool.release(slab);
  }

  /** Forgets everything that was not taken. */
  clear(): void {
    const batch = this.take(0);
    if (batch !== undefined) this.release(batch);
    this.#large = [];
    this.#largeBytes = 0;
  }

  /** Bytes that one write could take now. */
  get #laidOutBytes(): number {
    return this.#partBytes + (this.#used - this.#begin) + (this.#lentEnd - this.#lentStart);
  }

  #inTheWay(channel: number, id: number): LargeBody | undefined {
    return this.#large.find((large) =>
      channel !== 0 ? large.channel === channel : large.channel === 0 && large.id === id,
    );
  }

  #addLarge(channel: number, id: number, head: Uint8Array, payload: Uint8Array): void {
    this.#largeNumber = (this.#largeNumber + 1) >>> 0;
    const total = head.length + payload.length;
    this.#large.push({ number: this.#largeNumber, channel, id, total, head, payload, sent: 0, behind: [] });
    this.#largeBytes += total;
  }

  /** One piece of the large body whose turn it is. */
  #piece(): void {
    const large = this.#large.shift() as LargeBody;
    const take = Math.min(FRAGMENT_BYTES - HEADER_BYTES, large.total - large.sent);
    const last = large.sent + take === large.total;
    const flags = (large.sent === 0 ? FrameFlag.FIRST : 0) | (last ? FrameFlag.LAST : 0);
    const headPart = large.sent === 0 ? large.head : EMPTY;
    const at = this.#reserve(PREFIX_BYTES + headPart.length);
    const slab = this.#slab as Uint8Array;
    writeUint32(slab, at, HEADER_BYTES + take);
    writeHeader(slab, at + LENGTH_BYTES, FrameType.FRAGMENT, flags, 0, large.number, 0, large.total);
    slab.set(headPart, at + PREFIX_BYTES);
    const from = large.sent + headPart.length - large.head.length;
    this.#part(large.payload.subarray(from, from + take - headPart.length));
    large.sent += take;
    this.#largeBytes -= take;
    // Those that were begun stay together at the front: no more of them than the peer puts together.
    if (!last) this.#large.splice(Math.min(this.#large.length, INTERLEAVED_MAX - 1), 0, large);
    else for (const write of large.behind) write();
  }

  /** Ends the run of lent frames: a part of its own, or a copy where it is short. */
  #takeLent(): void {
    const memory = this.#lent;
    if (memory === undefined) return;
    const start = this.#lentStart;
    const end = this.#lentEnd;
    this.#lent = undefined;
    this.#lentStart = 0;
    this.#lentEnd = 0;
    const frames = memory.subarray(start, end);
    if (frames.length > COPY_BYTES_MAX) this.#part(frames);
    else {
      const at = this.#reserve(frames.length);
      (this.#slab as Uint8Array).set(frames, at);
    }
  }

  /** Room for contiguous bytes in the slab; gives the position. */
  #reserve(bytes: number): number {
    if (this.#lent !== undefined) this.#takeLent();
    if (this.#slab === undefined || this.#used + bytes > this.#slab.length) this.#newSlab(bytes);
    const at = this.#used;
    this.#used = at + bytes;
    return at;
  }

  #newSlab(bytes: number): void {
    this.#cut();
    if (this.#slab !== undefined) this.#slabs.push(this.#slab);
    this.#slab = bytes > SLAB_BYTES ? new Uint8Array(bytes) : this.#pool.acquire();
    this.#used = 0;
    this.#begin = 0;
  }

  #part(bytes: Uint8Array): void {
    this.#cut();
    if (bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
  }

  /** Ends the part that grows in the slab. */
  #cut(): void {
    if (this.#slab === undefined || this.#used === this.#begin) return;
    const part = this.#slab.subarray(this.#begin, this.#used);
    this.#begin = this.#used;
    this.#parts.push(part);
    this.#partBytes += part.length;
  }
}
