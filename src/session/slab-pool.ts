// Memory in which frames are laid before they are written. One pool serves all connections of a server
// or client, so that an idle connection owns no slab.

export const SLAB_BYTES = 64 * 1024;
const KEPT_MAX = 64;

export class SlabPool {
  readonly #free: Uint8Array[] = [];

  acquire(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(SLAB_BYTES);
  }

  release(slab: Uint8Array): void {
    if (this.#free.length < KEPT_MAX) this.#free.push(slab);
  }
}
