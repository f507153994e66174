// The queue of callers that wait for the same thing, each with its own time-out and AbortSignal.

import { onAbort } from '../base/abort.ts';
import { abortError } from '../base/errors.ts';
import type { ResolvedWait } from './options.ts';
import { type Activity, timeoutError, withStatus } from './status.ts';

interface Waiter<T, W> {
  readonly what: W;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  settle: () => void;
}

/** `W`: what the caller brought with it (what is to be sent); `T`: what it gets. */
export class WaitingQueue<T, W> {
  readonly #activity: Activity;
  readonly #channel: string;
  readonly #onGone: (waiter: W) => void;
  #waiters: Waiter<T, W>[] = [];

  /** `onGone` is called for those whom a time-out or an abort took away. */
  constructor(activity: Activity, channel: string, onGone: (waiter: W) => void) {
    this.#activity = activity;
    this.#channel = channel;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#waiters.length;
  }
  get first(): W | undefined {
    return this.#waiters[0]?.what;
  }

  add(what: W, wait: ResolvedWait): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter<T, W> = { what, resolve, reject, settle: () => undefined };
      this.#waiters.push(waiter);
      this.#limit(waiter, wait);
    });
  }

  #limit(waiter: Waiter<T, W>, { timeoutMs, signal }: ResolvedWait): void {
    const remove = (error: Error): void => {
      const at = this.#waiters.indexOf(waiter);
      if (at < 0) return;
      this.#waiters.splice(at, 1);
      waiter.settle();
      waiter.reject(error);
      this.#onGone(waiter.what);
    };
    const timer = Number.isFinite(timeoutMs)
      ? setTimeout(() => remove(timeoutError(this.#activity, this.#channel, timeoutMs)), timeoutMs)
      : undefined;
    const unlisten = signal && onAbort(signal, () => remove(withStatus(this.#activity, abortError(signal))));
    waiter.settle = () => {
      clearTimeout(timer);
      unlisten?.();
    };
  }

  resolveFirst(value: T): void {
    const waiter = this.#waiters.shift();
    waiter?.settle();
    waiter?.resolve(value);
  }

  /** Resolves every waiter whose matter is settled, in whatever place it stands. */
  resolveWhere(settled: (what: W) => boolean, value: T): void {
    const done = this.#waiters.filter((waiter) => settled(waiter.what));
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const waiter of done) {
      waiter.settle();
      waiter.resolve(value);
    }
  }

  /** Rejects those who wait for this very thing. */
  rejectOf(what: W, error: Error): void {
    const [gone, stay] = [true, false].map((is) => this.#waiters.filter((waiter) => (waiter.what === what) === is));
    this.#waiters = stay ?? [];
    for (const waiter of gone ?? []) {
      waiter.settle();
      waiter.reject(error);
    }
  }

  rejectFirst(error: Error): void {
    const waiter = this.#waiters.shift();
    waiter?.settle();
    waiter?.reject(error);
  }

  rejectAll(error: Error): void {
    while (this.#waiters.length > 0) this.rejectFirst(error);
  }
}
