// One write for each connection and turn of the event loop: whoever has laid out frames in this turn is
// flushed when it ends. How a turn's end is awaited is the platform's business and comes as an argument.

export interface Flushable {
  flush(): void;
}

export class Turn {
  readonly #defer: (run: () => void) => void;
  #waiting: Flushable[] = [];
  readonly #run: () => void;

  /** `defer` runs its argument when the present turn has ended: `process.nextTick` in Node. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
    this.#run = () => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const one of waiting) one.flush();
    };
  }

  add(one: Flushable): void {
    this.#waiting.push(one);
    if (this.#waiting.length === 1) this.#defer(this.#run);
  }
}
