// One coarse timer for everything of a client that can time out. It runs only while something is due,
// and it does not keep the process alive where what is waited for has a socket that does.

import { Deadline, Deadlines } from '../session/deadlines.ts';

/** Something that ends by itself when its time has come. */
export abstract class Due extends Deadline {
  abstract expired(): void;
}

/** What a platform offers to wait with; gives what cancels it. */
export type SetTimer = (delayMs: number, run: () => void, keepsProcessAlive: boolean) => () => void;

export class Timekeeper {
  readonly #due = new Deadlines<Due>();
  readonly #clock: () => number;
  readonly #setTimer: SetTimer;
  readonly #keepsProcessAlive: () => boolean;
  #cancel: (() => void) | undefined;
  #armedFor = Number.POSITIVE_INFINITY;
  readonly #run = () => this.#fire();

  /** `keepsProcessAlive` is asked whenever the timer is set. */
  constructor(clock: () => number, setTimer: SetTimer, keepsProcessAlive = () => false) {
    this.#clock = clock;
    this.#setTimer = setTimer;
    this.#keepsProcessAlive = keepsProcessAlive;
  }

  /** How many wait. */
  get size(): number {
    return this.#due.size;
  }

  /** Calls `item.expired()` once, in `delayMs` milliseconds or a little later. */
  add(item: Due, delayMs: number): void {
    const now = this.#clock();
    const dueAt = now + delayMs;
    this.#due.add(item, dueAt);
    if (dueAt < this.#armedFor) this.#arm(dueAt, now);
  }

  remove(item: Due): void {
    this.#due.remove(item);
  }

  /** Stops the timer when nothing waits any more: to be called when a client has come to rest. */
  rest(): void {
    if (this.#due.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #arm(dueAt: number, now: number): void {
    this.#cancel?.();
    this.#armedFor = dueAt;
    this.#cancel = this.#setTimer(Math.max(1, Math.ceil(dueAt - now)), this.#run, this.#keepsProcessAlive());
  }

  #fire(): void {
    this.#cancel = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    for (const item of this.#due.expire(this.#clock())) item.expired();
    const next = this.#due.nextDueAt();
    if (next !== undefined && next < this.#armedFor) this.#arm(next, this.#clock());
  }
}
