// The queue of callers that wait for the same thing, each with its own time-out and AbortSignal. A list whose
// members know their neighbours: whoever is served, or gives up in the middle, costs the same however many wait.

import { onAbort } from '../base/abort.ts';
import { abortError } from '../base/errors.ts';
import type { ResolvedWait } from './options.ts';
import { type Activity, timeoutError, withStatus } from './status.ts';

interface Waiter<T, W> {
  readonly what: W;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  before: Waiter<T, W> | undefined;
  after: Waiter<T, W> | undefined;
  waits: boolean;
  /** Ends time-out and signal. */
  settle: () => void;
}

/** `W`: what the caller brought with it (what is to be sent); `T`: what it gets. */
export class WaitingQueue<T, W> {
  readonly #activity: Activity;
  readonly #channel: string;
  readonly #onGone: (waiter: W) => void;
  #first: Waiter<T, W> | undefined;
  #last: Waiter<T, W> | undefined;
  #size = 0;

  /** `onGone` is called for those whom a time-out or an abort took away. */
  constructor(activity: Activity, channel: string, onGone: (waiter: W) => void) {
    this.#activity = activity;
    this.#channel = channel;
    this.#onGone = onGone;
  }

  get size(): number {
    return this.#size;
  }
  get first(): W | undefined {
    return this.#first?.what;
  }

  add(what: W, wait: ResolvedWait): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const before = this.#last;
      const waiter: Waiter<T, W> = { what, resolve, reject, before, after: undefined, waits: true, settle: nothing };
      if (before) before.after = waiter;
      else this.#first = waiter;
      this.#last = waiter;
      this.#size++;
      this.#limit(waiter, wait);
    });
  }

  #limit(waiter: Waiter<T, W>, { timeoutMs, signal }: ResolvedWait): void {
    const giveUp = (error: Error): void => {
      if (!this.#remove(waiter)) return;
      waiter.reject(error);
      this.#onGone(waiter.what);
    };
    const timer = Number.isFinite(timeoutMs)
      ? setTimeout(() => giveUp(timeoutError(this.#activity, this.#channel, timeoutMs)), timeoutMs)
      : undefined;
    const unlisten = signal && onAbort(signal, () => giveUp(withStatus(this.#activity, abortError(signal))));
    if (!timer && !unlisten) return;
    waiter.settle = () => {
      clearTimeout(timer);
      unlisten?.();
    };
    // A signal may have a listener that ended the waiting while it was being listened to.
    if (!waiter.waits) waiter.settle();
  }

  /** False when it does not wait any more. */
  #remove(waiter: Waiter<T, W>): boolean {
    if (!waiter.waits) return false;
    waiter.waits = false;
    const { before, after } = waiter;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
    // An old one that points on would keep the collector from all who came behind it.
    waiter.before = waiter.after = undefined;
    this.#size--;
    waiter.settle();
    return true;
  }

  resolveFirst(value: T): void {
    const waiter = this.#first;
    if (waiter && this.#remove(waiter)) waiter.resolve(value);
  }

  /** Resolves every waiter whose matter is settled, in whatever place it stands. */
  resolveWhere(settled: (what: W) => boolean, value: T): void {
    for (const waiter of this.#those(settled)) if (this.#remove(waiter)) waiter.resolve(value);
  }

  /** Rejects those who wait for this very thing. */
  rejectOf(what: W, error: Error): void {
    for (const waiter of this.#those((other) => other === what)) if (this.#remove(waiter)) waiter.reject(error);
  }

  #those(chosen: (what: W) => boolean): Waiter<T, W>[] {
    const found: Waiter<T, W>[] = [];
    for (let waiter = this.#first; waiter; waiter = waiter.after) if (chosen(waiter.what)) found.push(waiter);
    return found;
  }

  rejectFirst(error: Error): void {
    const waiter = this.#first;
    if (waiter && this.#remove(waiter)) waiter.reject(error);
  }

  /** Each gets an error of its own: callers add what they know to theirs. */
  rejectAll(makeError: () => Error): void {
    while (this.#first) this.rejectFirst(makeError());
  }
}

const nothing = (): void => undefined;
