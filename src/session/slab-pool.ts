// Memory in which frames are laid before they are written. One pool serves all connections of a server
// or client, so that an idle connection owns no slab.

import { type Allocate, allocatePlain } from '../protocol/frame.ts';

export const SLAB_BYTES = 64 * 1024;
const KEPT_MAX = 64;

export class SlabPool {
  readonly #free: Uint8Array[] = [];
  readonly #allocate: Allocate;

  constructor(allocate: Allocate = allocatePlain) {
    this.#allocate = allocate;
  }

  acquire(): Uint8Array {
    return this.#free.pop() ?? this.#allocate(SLAB_BYTES);
  }

  release(slab: Uint8Array): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(slab);
  }
}
