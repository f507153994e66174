// One timer for all sends of a sender, where each would otherwise set and clear one of its own. Few of them
// ever expire, so the timer goes by the earliest that it knows of and looks for the next when it fires.

export interface Expiring {
  /** On the clock of `performance.now`; infinite when it never expires. */
  readonly dueAt: number;
  expire(): void;
}

/** What `setTimeout` takes at most. */
const MOST_MS = 2_147_483_647;

export class Expiry {
  /** What has not ended yet. */
  readonly #open: () => readonly Expiring[];
  #timer: NodeJS.Timeout | undefined;
  #firesAt = Number.POSITIVE_INFINITY;
  #isRef = true;

  constructor(open: () => readonly Expiring[]) {
    this.#open = open;
  }

  watch({ dueAt }: Expiring): void {
    if (dueAt >= this.#firesAt) return;
    clearTimeout(this.#timer);
    this.#firesAt = dueAt;
    this.#timer = setTimeout(() => this.#fire(), Math.min(Math.max(1, Math.ceil(dueAt - performance.now())), MOST_MS));
    if (!this.#isRef) this.#timer.unref();
  }

  /** Whether the timer keeps the process alive. */
  setRef(on: boolean): void {
    this.#isRef = on;
    if (on) this.#timer?.ref();
    else this.#timer?.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#firesAt = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.clear();
    const now = performance.now();
    for (const one of this.#open()) {
      // What expires may end others, which then expire in vain; ending twice does nothing.
      if (one.dueAt <= now) one.expire();
      else this.watch(one);
    }
  }
}
