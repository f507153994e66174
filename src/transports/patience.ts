// How long one waits for somebody who has to say something.

/**
 * Tells when so much time has passed, and what had arrived by then was read: where this process stood still for a
 * while, whoever spoke in time is heard before he is given up.
 */
export class Patience {
  readonly #timer: NodeJS.Timeout;
  #lastLook: NodeJS.Immediate | undefined;

  constructor(timeoutMs: number, over: () => void, keepsProcessAlive = true) {
    this.#timer = setTimeout(() => {
      // Behind the reads of this turn.
      this.#lastLook = setImmediate(over);
    }, timeoutMs);
    if (!keepsProcessAlive) this.#timer.unref();
  }

  /** `over` is not called any more. */
  end(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#lastLook);
  }
}
