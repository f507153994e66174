// What is received is lent: payloads are views into the chunk they came in, which holds other messages too.

import { markAsUntransferable } from 'node:worker_threads';

/**
 * The same chunk, whose memory cannot be given away to another thread: `postMessage` and `structuredClone` with a
 * transfer list copy it (Node 20) or refuse (`DataCloneError`, from Node 21 on), and take nothing from the others.
 */
export function lend(chunk: Uint8Array): Uint8Array {
  markAsUntransferable(chunk.buffer);
  return chunk;
}
