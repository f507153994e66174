// What is under way on a lane, found by its sequence. A Map would do the same; but each time a Map has to be
// built anew, because entries came and went, its old self keeps hold of the new one and of what was in it.
// Once such a table has become old to the garbage collector, it draws everything after it along: messages
// that ended long ago were copied again and again, and collections took longer than the messages.

/** Sequences wrap; of two that are under way at once the one less than half way round before is the earlier. */
const bySequence = (a: { readonly seq: number }, b: { readonly seq: number }): number => (a.seq - b.seq) | 0;

const LEAST_SLOTS = 32;
const SHRINK_ABOVE_SLOTS = 4096;

/** Open addressing. Sequences that follow one another take slots that do. */
export class SequenceTable<T extends { readonly seq: number }> {
  #slots: (T | undefined)[] = emptySlots(LEAST_SLOTS);
  #mask = LEAST_SLOTS - 1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Its sequence must not be there yet. */
  add(item: T): void {
    if (this.#size * 2 > this.#mask) this.#rebuild(this.#slots.length * 2);
    this.#slots[this.#find(item.seq)] = item;
    this.#size += 1;
  }

  get(seq: number): T | undefined {
    return this.#slots[this.#find(seq)];
  }

  /** False when it was not there. */
  delete(seq: number): boolean {
    let hole = this.#find(seq);
    if (this.#slots[hole] === undefined) return false;
    // Whatever had to go further because of it moves up, so that no search ends too early.
    for (let at = (hole + 1) & this.#mask; ; at = (at + 1) & this.#mask) {
      const item = this.#slots[at];
      if (item === undefined) break;
      const home = item.seq & this.#mask;
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#slots[hole] = item;
      hole = at;
    }
    this.#slots[hole] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && this.#slots.length > SHRINK_ABOVE_SLOTS) this.#rebuild(LEAST_SLOTS);
    return true;
  }

  /** All that are there now, in the order of their sequences. */
  values(): T[] {
    return this.#slots.filter((item) => item !== undefined).sort(bySequence);
  }

  /** Where it is, or else where it would be put. */
  #find(seq: number): number {
    let at = seq & this.#mask;
    for (let item = this.#slots[at]; item !== undefined && item.seq !== seq; item = this.#slots[at]) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  #rebuild(slots: number): void {
    const items = this.#slots;
    this.#slots = emptySlots(slots);
    this.#mask = slots - 1;
    for (const item of items) if (item !== undefined) this.#slots[this.#find(item.seq)] = item;
  }
}

function emptySlots<T>(count: number): (T | undefined)[] {
  return Array.from<T | undefined>({ length: count }).fill(undefined);
}
