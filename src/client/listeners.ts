// Who listens to what happens to a client. Every listener is taken out by the disposer that it was given.

import { functionOption } from '../base/options.ts';

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
  #all: readonly ((...args: A) => unknown)[] = [];
  readonly #failed: (thrown: unknown) => void;

  /** `failed` is told what a listener throws, at once or by its promise; the other listeners are called all the same. */
  constructor(failed: (thrown: unknown) => void) {
    this.#failed = failed;
  }

  get size(): number {
    return this.#all.length;
  }

  add(listener: (...args: A) => unknown): Disposer {
    functionOption('listener', listener);
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
        const result: unknown = listener(...args);
        if (isThenable(result)) result.then(undefined, this.#failed);
      } catch (thrown) {
        this.#failed(thrown);
      }
    }
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
