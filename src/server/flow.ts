// Backpressure from the subscribers of one channel to its publishers: while somebody whose policy is
// `block` is behind, publishers get no credit back. A flow lives from the first who blocks to the last.

/** A publisher that is owed something: credit, or to be read from again. */
export interface Owed {
  settle(): void;
}

export class Flow {
  readonly #over: () => void;
  /** Compared by identity only. */
  readonly #blockers = new Set<object>();
  readonly #owed = new Set<Owed>();
  #waiting: (() => void)[] = [];

  /** `over` is called when nobody blocks any more, before anybody goes on. */
  constructor(over: () => void) {
    this.#over = over;
  }

  get blocked(): boolean {
    return this.#blockers.size > 0;
  }

  block(subscriber: object): void {
    this.#blockers.add(subscriber);
  }

  unblock(subscriber: object): void {
    if (!this.#blockers.delete(subscriber) || this.#blockers.size > 0) return;
    this.#over();
    const owed = [...this.#owed];
    const waiting = this.#waiting;
    this.#owed.clear();
    this.#waiting = [];
    for (const one of owed) one.settle();
    for (const go of waiting) go();
  }

  /** The publisher is settled with once nobody blocks any more. */
  owe(publisher: Owed): void {
    this.#owed.add(publisher);
  }

  /** The publisher is gone. */
  forget(publisher: Owed): void {
    this.#owed.delete(publisher);
  }

  ready(): Promise<void> {
    if (!this.blocked) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
