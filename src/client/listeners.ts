// Who listens to what happens to a client. Every listener is taken out by the disposer that it was given.

/** Takes a listener out again; works with `using`, too. Calling it twice does no harm. */
export interface Disposer {
  (): void;
  [Symbol.dispose](): void;
}

export function disposer(dispose: () => void): Disposer {
  return Object.assign(() => dispose(), { [Symbol.dispose]: dispose });
}

/** The listeners of one kind of event. */
export class Listeners<A extends readonly unknown[]> {
  #all: readonly ((...args: A) => void)[] = [];
  readonly #failed: (thrown: unknown) => void;

  /** `failed` is told what a listener throws; the other listeners are called all the same. */
  constructor(failed: (thrown: unknown) => void) {
    this.#failed = failed;
  }

  get size(): number {
    return this.#all.length;
  }

  add(listener: (...args: A) => void): Disposer {
    // A wrapper of its own, so that the same function can be added twice and taken out once.
    const own = (...args: A) => listener(...args);
    this.#all = [...this.#all, own];
    return disposer(() => {
      this.#all = this.#all.filter((one) => one !== own);
    });
  }

  emit(...args: A): void {
    for (const listener of this.#all) {
      try {
        listener(...args);
      } catch (thrown) {
        this.#failed(thrown);
      }
    }
  }
}
