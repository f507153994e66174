// Which of one sender's messages were acknowledged, so that one which comes again is recognised. Sequences
// follow one another, so the last ones fit into a ring, without a string or a hash for any of them.

const LEAST_SLOTS = 64;

export class SequenceMemory {
  /** A power of two. */
  readonly #mostSlots: number;
  #slots = forgotten(0);

  /** Remembers at least so many; 0: none. */
  constructor(remembered: number) {
    this.#mostSlots = remembered === 0 ? 0 : Math.max(LEAST_SLOTS, 2 ** Math.ceil(Math.log2(remembered)));
  }

  /** How many it has room for; grows with what is put in. */
  get room(): number {
    return this.#slots.length;
  }

  add(seq: number): void {
    if (this.#mostSlots === 0) return;
    while (this.#slots.length < this.#mostSlots && this.#isTaken(seq)) this.#grow();
    this.#slots[this.#slotOf(seq)] = seq;
  }

  has(seq: number): boolean {
    return this.#slots.length > 0 && this.#slots[this.#slotOf(seq)] === seq;
  }

  #slotOf(seq: number): number {
    return (seq & (this.#slots.length - 1)) >>> 0;
  }

  /** Whether another one would have to be forgotten for it. */
  #isTaken(seq: number): boolean {
    if (this.#slots.length === 0) return true;
    const slot = this.#slotOf(seq);
    const there = this.#slots[slot] ?? 0;
    return there !== seq && this.#slotOf(there) === slot;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = forgotten(Math.max(LEAST_SLOTS, before.length * 2));
    for (const [slot, seq] of before.entries()) {
      if ((seq & (before.length - 1)) === slot) this.#slots[this.#slotOf(seq)] = seq;
    }
  }
}

/** Slots that hold nothing: in each a sequence that belongs into the next one. */
function forgotten(slots: number): Uint32Array {
  return Uint32Array.from({ length: slots }, (_, slot) => slot + 1);
}
