// Between a listener and a `for await` loop: a message is done when the loop comes back for the next one.

import { PipeError } from './errors.ts';

interface Item<T> {
  readonly message: T;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class MessageQueue<T> {
  readonly #items: Item<T>[] = [];
  /** Loops that wait; more than one may read. */
  #waiting: (() => void)[] = [];
  #isEnded = false;

  /** Resolves when the loop has finished with the message. */
  put(message: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#items.push({ message, done: resolve, failed: reject });
      this.#waiting.shift()?.();
    });
  }

  /** What is there is still given out; then the loop ends. */
  end(): void {
    this.#isEnded = true;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async *messages(): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          let isDone = false;
          try {
            yield item.message;
            isDone = true;
          } finally {
            if (isDone) item.done();
            else item.failed(left());
          }
        } else if (this.#isEnded) {
          return;
        } else {
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
      }
    } finally {
      for (const item of this.#items.splice(0)) item.failed(left());
    }
  }
}

function left(): PipeError {
  return new PipeError('REMOTE_CLOSED', 'the loop that read the messages was left');
}
