// What is written on a lane in one turn. Small frames are put next to each other where they will be written
// from; a large payload stays where it is, as a part of its own.

/** What is smaller is copied; a further part of a vectored write costs more than the copy. */
const COPY_BELOW_BYTES = 16 * 1024;
/** Enough for who says little; who says more gets the large one, over and over. */
const FIRST_SLAB_BYTES = 2 * 1024;
const SLAB_BYTES = 64 * 1024;

export class WriteBatch {
  /** Where the next frame goes, from `end` on; who writes there moves `end`. */
  buffer: Buffer = Buffer.alloc(0);
  end = 0;
  #start = 0;
  #parts: Buffer[] = [];

  hasRoom(bytes: number): boolean {
    return this.buffer.length - this.end >= bytes;
  }

  /** Sees to it that so many bytes can be written from `end` on. */
  reserve(bytes: number): void {
    if (this.hasRoom(bytes)) return;
    this.#endRun();
    const isFirst = this.buffer.length === 0 && bytes <= FIRST_SLAB_BYTES;
    this.buffer = isFirst ? Buffer.allocUnsafe(FIRST_SLAB_BYTES) : Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.end = 0;
  }

  add(bytes: Buffer): void {
    if (bytes.length < COPY_BELOW_BYTES) {
      this.reserve(bytes.length);
      this.end += bytes.copy(this.buffer, this.end);
    } else {
      this.#endRun();
      this.#parts.push(bytes);
    }
  }

  /** Everything since the last time, in order. */
  take(): Buffer[] {
    this.#endRun();
    const parts = this.#parts;
    if (parts.length > 0) this.#parts = [];
    return parts;
  }

  /** All that was ever taken has been written, so its room can be used again. */
  reuse(): void {
    this.#start = 0;
    this.end = 0;
  }

  #endRun(): void {
    if (this.end > this.#start) this.#parts.push(this.buffer.subarray(this.#start, this.end));
    this.#start = this.end;
  }
}
