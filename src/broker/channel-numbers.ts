// Numbers for channels, unique among all channels that live in one server, so that a delivery which names
// its channel by number is the same bytes for every subscriber.

const NUMBER_MAX = 0xffff_ffff;

export class ChannelNumbers {
  readonly #taken: Set<number>;
  #last: number;

  /** Counting begins after `last` and passes over `taken`; 0 is never given: in a frame it means none. */
  constructor(last = 0, taken: Iterable<number> = []) {
    this.#last = last;
    this.#taken = new Set(taken);
  }

  /** How many are in use. */
  get size(): number {
    return this.#taken.size;
  }

  take(): number {
    do {
      this.#last = this.#last >= NUMBER_MAX ? 1 : this.#last + 1;
    } while (this.#taken.has(this.#last));
    this.#taken.add(this.#last);
    return this.#last;
  }

  release(number: number): void {
    this.#taken.delete(number);
  }
}
