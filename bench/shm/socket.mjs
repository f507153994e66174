// @ts-check
// The Unix socket that rings are compared with: frames of a 4-byte length and the body, written by hand. It
// makes no object for a message and does nothing that a library must do.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const SLAB_BYTES = 256 * 1024;
const HEADER_BYTES = 4;

/**
 * Calls `each` for every frame, with its first and last byte (-1 where it has none).
 * @param {string} path @param {(bytes: number, first: number, last: number) => void} each
 */
export async function receiveFrames(path, each) {
  const server = createServer((socket) => {
    let header = Buffer.alloc(0);
    let bytes = -1;
    let left = 0;
    let first = -1;
    socket.on('data', (/** @type {Buffer} */ chunk) => {
      let at = 0;
      for (;;) {
        if (bytes < 0) {
          if (header.length > 0 || chunk.length - at < HEADER_BYTES) {
            // A length that two chunks share.
            const wanted = Math.min(HEADER_BYTES - header.length, chunk.length - at);
            header = Buffer.concat([header, chunk.subarray(at, at + wanted)]);
            at += wanted;
            if (header.length < HEADER_BYTES) return;
            bytes = header.readUInt32LE(0);
            header = Buffer.alloc(0);
          } else {
            bytes = chunk.readUInt32LE(at);
            at += HEADER_BYTES;
          }
          left = bytes;
          first = -1;
        }
        if (left > 0) {
          if (at === chunk.length) return;
          if (left === bytes) first = chunk[at] ?? -1;
          const part = Math.min(left, chunk.length - at);
          at += part;
          left -= part;
          if (left > 0) return;
        }
        each(bytes, first, bytes === 0 ? -1 : (chunk[at - 1] ?? -1));
        bytes = -1;
        if (at === chunk.length) return;
      }
    });
    socket.on('error', () => undefined);
  });
  server.listen(path);
  await once(server, 'listening');
}

/** @type {new (memory: ArrayBufferLike, offset: number, length: number) => Buffer} */
const BufferOver = Reflect.get(Buffer, Symbol.species);

/**
 * Calls `each` with a Buffer for every frame that the program may keep, as a library would: a part of the chunk
 * that was read, made the fastest way; a frame that came in several chunks is put together in memory of its own.
 * @param {string} path @param {(data: Buffer) => void} each
 */
export async function receiveBuffers(path, each) {
  const server = createServer((socket) => {
    let before = Buffer.alloc(0);
    /** @type {Buffer | undefined} */
    let whole;
    let filled = 0;
    socket.on('data', (/** @type {Buffer} */ read) => {
      let at = 0;
      if (whole) {
        at = Math.min(whole.length - filled, read.length);
        whole.set(read.subarray(0, at), filled);
        filled += at;
        if (filled < whole.length) return;
        const data = whole;
        whole = undefined;
        each(data);
      }
      const chunk = before.length > 0 ? Buffer.concat([before, read.subarray(at)]) : read;
      if (before.length > 0) at = 0;
      before = Buffer.alloc(0);
      const { buffer, byteOffset, length } = chunk;
      while (length - at >= HEADER_BYTES) {
        const bytes = chunk.readUInt32LE(at);
        at += HEADER_BYTES;
        if (length - at < bytes) {
          whole = Buffer.allocUnsafeSlow(bytes);
          filled = chunk.copy(whole, 0, at);
          return;
        }
        each(new BufferOver(buffer, byteOffset + at, bytes));
        at += bytes;
      }
      before = chunk.subarray(at);
    });
    socket.on('error', () => undefined);
  });
  server.listen(path);
  await once(server, 'listening');
}

/**
 * Writes until told to stop; gives how many frames each receiver was sent. Batched: as many frames as fit into
 * a slab go in one write; else each by itself.
 * @param {readonly string[]} paths @param {Buffer} payload @param {boolean} batched @param {() => Promise<boolean>} goesOn
 */
export async function sendFrames(paths, payload, batched, goesOn) {
  const sockets = paths.map((path) => connect(path));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const frame = payload.length + HEADER_BYTES;
  const inOne = batched ? Math.max(1, Math.floor(SLAB_BYTES / frame)) : 1;
  const writes = batched ? 1 : 32;
  let sent = 0;
  while (await goesOn()) {
    for (let round = 0; round < (payload.length < 65_536 ? 4 : 1); round++) {
      for (const socket of sockets) {
        let open = true;
        for (let i = 0; i < writes; i++) open = socket.write(lay(payload, inOne, frame));
        if (!open) await once(socket, 'drain');
      }
      sent += inOne * writes;
    }
  }
  return sent;
}

/** @param {Buffer} payload @param {number} count @param {number} frame */
function lay(payload, count, frame) {
  const slab = Buffer.allocUnsafe(frame * count);
  for (let i = 0, at = 0; i < count; i++, at += frame) {
    slab.writeUInt32LE(payload.length, at);
    slab.set(payload, at + HEADER_BYTES);
  }
  return slab;
}
