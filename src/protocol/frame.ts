// bytes <-> frames on a stream: cuts chunks into bodies. A body inside one chunk is given as a view;
// a body that is larger than its chunk gets one buffer of the announced size, after the limit was
// checked, and is filled in place. docs/protocol.md, "Framing".

import { ipcError } from '../base/errors.ts';
import { readUint32 } from './codec.ts';
import { FrameFlag, FrameType, HEADER_BYTES, LENGTH_BYTES } from './frame-types.ts';

const EMPTY = new Uint8Array(0);

/** Makes memory that need not be zeroed: `Buffer.allocUnsafe` in Node, so that payloads arrive as Buffers there. */
export type Allocate = (bytes: number) => Uint8Array;

export const allocatePlain: Allocate = (bytes) => new Uint8Array(bytes);

/** Bodies that were taken at once, each with its length before it. */
export interface Alike {
  readonly count: number;
  /** Of the bodies, without their lengths. */
  readonly bytes: number;
  /** Where the last one ends. */
  readonly end: number;
}

/**
 * Pull parser without an allocation for each frame: `push` a chunk, then call `next` until it gives
 * false; after each true the body is `buffer[start, end)`.
 */
export class FrameCutter {
  buffer: Uint8Array = EMPTY;
  start = 0;
  end = 0;

  /** Bytes from the first body byte on that a body may have. May be raised after the handshake. */
  bodyBytesMax: number;

  readonly #allocate: Allocate;
  #chunk: Uint8Array = EMPTY;
  #position = 0;
  /** The body that is being filled; a chunk's end fell into it. */
  #partial: Uint8Array | undefined;
  #filled = 0;
  /** Memory of a body that nobody needs any more, for the next of its size. */
  #spare: Uint8Array | undefined;
  /** Bytes of a length that was cut by the end of a chunk. */
  #lengthBytes = 0;
  #length = 0;

  constructor(bodyBytesMax: number, allocate: Allocate = allocatePlain) {
    this.bodyBytesMax = bodyBytesMax;
    this.#allocate = allocate;
  }

  /** Bytes that are held for an unfinished body, or for the next. */
  get heldBytes(): number {
    return (this.#partial?.byteLength ?? 0) + (this.#spare?.byteLength ?? 0);
  }

  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#position = 0;
  }

  /** The body that was given last was copied: its memory may be filled anew. */
  reuse(): void {
    if (this.buffer !== this.#chunk) this.#spare = this.buffer;
  }

  /** No body like that is expected. */
  dropSpare(): void {
    this.#spare = undefined;
  }

  /** What of the last chunk was not looked at yet: for a change of protocol on the same connection. */
  rest(): Uint8Array {
    return this.#chunk.subarray(this.#position);
  }

  next(): boolean {
    if (this.#partial !== undefined) return this.#fill(this.#partial);
    const chunk = this.#chunk;
    let at = this.#position;
    let length: number;
    if (this.#lengthBytes === 0 && chunk.length - at >= LENGTH_BYTES) {
      length =
        ((chunk[at] as number) * 0x1000000 +
          (((chunk[at + 1] as number) << 16) | ((chunk[at + 2] as number) << 8) | (chunk[at + 3] as number))) >>>
        0;
      at += LENGTH_BYTES;
    } else {
      if (!this.#gatherLength()) return false;
      length = this.#length;
      this.#length = 0;
      this.#lengthBytes = 0;
      at = this.#position;
    }
    this.#check(length);
    if (chunk.length - at >= length) {
      this.buffer = chunk;
      this.start = at;
      this.end = at + length;
      this.#position = at + length;
      return true;
    }
    this.#position = at;
    this.#partial = this.#spare?.length === length ? this.#spare : this.#allocate(length);
    this.#spare = undefined;
    this.#filled = 0;
    return this.#fill(this.#partial);
  }

  /**
   * Takes the bodies behind the one that was given last as long as they begin with the same header and are
   * whole in this chunk, and as long as fewer than `bytesMax` bytes of them were taken. Undefined: none is, or
   * more than a payload stands behind the header.
   */
  alike(bytesMax: number): Alike | undefined {
    const chunk = this.#chunk;
    const { start } = this;
    if (this.buffer !== chunk || this.end - start < HEADER_BYTES) return undefined;
    // Extensions are each frame's own, and a piece is part of another body.
    if (chunk[start] === FrameType.FRAGMENT || ((chunk[start + 1] as number) & FrameFlag.EXTENSIONS) !== 0)
      return undefined;
    const first = this.#position;
    let at = first;
    let count = 0;
    let bytes = 0;
    while (bytes < bytesMax && chunk.length - at >= LENGTH_BYTES + HEADER_BYTES) {
      const body = at + LENGTH_BYTES;
      const length = readUint32(chunk, at);
      if (length < HEADER_BYTES || length > chunk.length - body || length > this.bodyBytesMax) break;
      if (!sameHeader(chunk, start, body)) break;
      at = body + length;
      bytes += length;
      count += 1;
    }
    if (count === 0) return undefined;
    this.#position = at;
    return { count, bytes, end: at };
  }

  #gatherLength(): boolean {
    const chunk = this.#chunk;
    while (this.#lengthBytes < LENGTH_BYTES) {
      if (this.#position >= chunk.length) return false;
      this.#length = ((this.#length << 8) | (chunk[this.#position] as number)) >>> 0;
      this.#position += 1;
      this.#lengthBytes += 1;
      // The first byte alone may already be too much; refuse before waiting for more.
      if (this.#lengthBytes === 1) this.#check(this.#length * 0x1000000, true);
    }
    return true;
  }

  #fill(body: Uint8Array): boolean {
    const chunk = this.#chunk;
    const take = Math.min(body.length - this.#filled, chunk.length - this.#position);
    if (take > 0) {
      body.set(
        this.#position === 0 && take === chunk.length ? chunk : chunk.subarray(this.#position, this.#position + take),
        this.#filled,
      );
      this.#filled += take;
      this.#position += take;
    }
    if (this.#filled < body.length) return false;
    this.buffer = body;
    this.start = 0;
    this.end = body.length;
    this.#partial = undefined;
    return true;
  }

  #check(length: number, atLeast = false): void {
    if (length > this.bodyBytesMax) {
      const said = `${atLeast ? 'at least ' : ''}${length}`;
      throw ipcError(
        'LIMIT_MESSAGE_BYTES',
        `a frame of ${said} bytes was announced, ${this.bodyBytesMax} are allowed${hint(length)}`,
        {
          details: { bytes: length, bytesMax: this.bodyBytesMax },
        },
      );
    }
    if (length === 0 && !atLeast) {
      throw ipcError('PEER_MALFORMED_FRAME', 'a frame of 0 bytes: a body has a type byte at least');
    }
  }
}

function sameHeader(bytes: Uint8Array, one: number, other: number): boolean {
  for (let i = 0; i < HEADER_BYTES; i += 1) if (bytes[one + i] !== bytes[other + i]) return false;
  return true;
}

/** The commonest wrong peer: a TLS client on a plain port begins with 16 03 01. */
function hint(length: number): string {
  return length >>> 16 === 0x1603 ? ' (this looks like TLS on a port without TLS)' : '';
}
