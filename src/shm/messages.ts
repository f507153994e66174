// `for await` over a channel.

import { IPCError } from '../base/errors.ts';
import { FOREVER } from './options.ts';
import { lengthOf, type Receiver } from './receiver.ts';

const given = (value: Buffer): IteratorResult<Buffer> => ({ done: false, value });

export class Messages implements AsyncIterableIterator<Buffer> {
  readonly #receiver: () => Receiver;
  #current: Receiver | undefined;
  #ended = false;
  /** Of this iterator alone, so that what waits can be told from what others wait for. */
  readonly #take = (): Buffer | undefined => this.#current?.take();

  /** `receiver` gives that of the present stay in the channel, or throws. */
  constructor(receiver: () => Receiver) {
    this.#receiver = receiver;
  }

  next(): Promise<IteratorResult<Buffer>> {
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    try {
      const receiver = this.#receiver();
      this.#current = receiver;
      const data = receiver.takeAtOnce();
      if (data !== undefined) return Promise.resolve({ done: false, value: data });
      return receiver.receiveBy(this.#take, lengthOf, FOREVER).then(given, this.#over);
    } catch (error) {
      return new Promise((resolve) => resolve(this.#over(error)));
    }
  }

  /** Who has left in the middle, and who waits while the channel is left, has simply come to the end. */
  readonly #over = (error: unknown): IteratorResult<Buffer> => {
    const left = error instanceof IPCError && error.code === 'USAGE_NOT_CONNECTED' && this.#current !== undefined;
    if (!left && !(error instanceof IPCError && error.code === 'USAGE_CLOSED')) throw error;
    this.#ended = true;
    return { done: true, value: undefined };
  };

  /** What waits takes no message any more. */
  async return(): Promise<IteratorResult<Buffer>> {
    this.#ended = true;
    this.#current?.giveUp(this.#take);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
