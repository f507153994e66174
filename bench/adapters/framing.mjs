// @ts-check
// Length-prefixed frames, written by hand: what the floor is made of. A yardstick must not be slow where it need
// not be, so all frames of a turn leave in one write, small frames are read in place, and a body larger than a
// chunk is filled into one buffer of its announced size.

const SLAB_BYTES = 64 * 1024;
/** From here on a payload is not copied behind its header: both go into one vectored write. */
const VECTORED_BYTES = 16 * 1024;
const HEADER_BYTES = 4;
/** Of each socket, so that a full slab is not by itself a reason to wait. */
export const HIGH_WATER_BYTES = 256 * 1024;

/** @type {Buffer[]} */
const slabs = [];

/** Frames for one or many sockets: encoded once, written to each. */
export class FrameWriter {
  /** @type {Set<import('node:net').Socket>} */
  #sockets;
  #slab = slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;
  #scheduled = false;
  #flush = () => this.flush();

  /** @param {Iterable<import('node:net').Socket>} sockets */
  constructor(sockets) {
    this.#sockets = new Set(sockets);
  }

  /** @param {import('node:net').Socket} socket */
  add(socket) {
    this.#sockets.add(socket);
  }

  get count() {
    return this.#sockets.size;
  }

  /**
   * Writes at the end of the turn, or before when the slab is full.
   * @param {Buffer} source
   * @param {number} start
   * @param {number} end
   */
  frame(source, start, end) {
    const length = end - start;
    if (length >= VECTORED_BYTES) return this.#vectored(source, start, end);
    if (this.#used + HEADER_BYTES + length > SLAB_BYTES) this.flush();
    const slab = this.#slab;
    let at = this.#used;
    slab[at++] = length >>> 24;
    slab[at++] = length >>> 16;
    slab[at++] = length >>> 8;
    slab[at++] = length;
    // A native copy costs more than this loop does for a short payload.
    if (length <= 128) for (let from = start; from < end; from++) slab[at++] = source[from] ?? 0;
    else {
      slab.set(start === 0 && end === source.length ? source : source.subarray(start, end), at);
      at += length;
    }
    this.#used = at;
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#flush);
    }
  }

  /**
   * @param {Buffer} source
   * @param {number} start
   * @param {number} end
   */
  #vectored(source, start, end) {
    this.flush();
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(end - start);
    const body = start === 0 && end === source.length ? source : source.subarray(start, end);
    for (const socket of this.#sockets) {
      socket.cork();
      socket.write(header);
      socket.write(body);
      socket.uncork();
    }
  }

  flush() {
    this.#scheduled = false;
    if (this.#used === 0) return;
    const slab = this.#slab;
    const bytes = slab.subarray(0, this.#used);
    let pending = this.#sockets.size;
    const written = () => {
      pending -= 1;
      if (pending === 0) slabs.push(slab);
    };
    this.#slab = slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#used = 0;
    for (const socket of this.#sockets) socket.write(bytes, written);
  }

  /** @returns {Promise<void> | undefined} undefined when there is no need to wait */
  full() {
    /** @type {Promise<unknown>[] | undefined} */
    let waits;
    for (const socket of this.#sockets) {
      if (socket.writableNeedDrain) {
        waits ??= [];
        waits.push(new Promise((resolve) => socket.once('drain', resolve)));
      }
    }
    return waits === undefined ? undefined : Promise.all(waits).then(() => undefined);
  }
}

/** The naive way, for comparison: each frame is a buffer and a write of its own. */
export class UnbatchedWriter {
  /** @type {Set<import('node:net').Socket>} */
  #sockets;

  /** @param {Iterable<import('node:net').Socket>} sockets */
  constructor(sockets) {
    this.#sockets = new Set(sockets);
  }

  /** @param {import('node:net').Socket} socket */
  add(socket) {
    this.#sockets.add(socket);
  }

  get count() {
    return this.#sockets.size;
  }

  /**
   * @param {Buffer} source
   * @param {number} start
   * @param {number} end
   */
  frame(source, start, end) {
    const bytes = Buffer.allocUnsafe(HEADER_BYTES + end - start);
    bytes.writeUInt32BE(end - start);
    bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), HEADER_BYTES);
    for (const socket of this.#sockets) socket.write(bytes);
  }

  flush() {}

  full() {
    /** @type {Promise<unknown>[] | undefined} */
    let waits;
    for (const socket of this.#sockets) {
      if (socket.writableNeedDrain) {
        waits ??= [];
        waits.push(new Promise((resolve) => socket.once('drain', resolve)));
      }
    }
    return waits === undefined ? undefined : Promise.all(waits).then(() => undefined);
  }
}

/** Cuts chunks into frames. A frame is told as (bytes, start, end): no view is made for it. */
export class FrameReader {
  /** @type {(bytes: Buffer, start: number, end: number) => void} */
  #frame;
  /** @type {Buffer | undefined} */
  #body;
  #filled = 0;
  #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;

  /** @param {(bytes: Buffer, start: number, end: number) => void} frame */
  constructor(frame) {
    this.#frame = frame;
  }

  /** @param {Buffer} chunk */
  push(chunk) {
    let at = 0;
    const end = chunk.length;
    while (at < end) {
      const body = this.#body;
      if (body !== undefined) {
        const take = Math.min(body.length - this.#filled, end - at);
        chunk.copy(body, this.#filled, at, at + take);
        this.#filled += take;
        at += take;
        if (this.#filled < body.length) return;
        this.#body = undefined;
        this.#frame(body, 0, body.length);
        continue;
      }
      if (this.#headerFilled > 0 || end - at < HEADER_BYTES) {
        const take = Math.min(HEADER_BYTES - this.#headerFilled, end - at);
        chunk.copy(this.#header, this.#headerFilled, at, at + take);
        this.#headerFilled += take;
        at += take;
        if (this.#headerFilled < HEADER_BYTES) return;
        this.#headerFilled = 0;
        this.#body = Buffer.allocUnsafeSlow(this.#header.readUInt32BE());
        this.#filled = 0;
        continue;
      }
      const length = chunk.readUInt32BE(at);
      const next = at + HEADER_BYTES + length;
      if (next > end) {
        this.#body = Buffer.allocUnsafeSlow(length);
        this.#filled = 0;
        at += HEADER_BYTES;
        continue;
      }
      this.#frame(chunk, at + HEADER_BYTES, next);
      at = next;
    }
  }
}
