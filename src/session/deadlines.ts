// One coarse timer wheel for everything that can time out, instead of a timer each. Time is an argument.

/** What can time out: make it a subclass, so that adding and removing allocates nothing. */
export class Deadline {
  /** Milliseconds on the caller's monotonic clock. */
  dueAt = 0;
  bucket: Bucket | undefined;
  before: Deadline | undefined;
  after: Deadline | undefined;
}

interface Bucket {
  readonly tick: number;
  first: Deadline | undefined;
}

/** Deadlines are met up to this much late, never early. */
export const DEADLINE_GRAIN_MS = 8;

export class Deadlines<T extends Deadline> {
  readonly #buckets = new Map<number, Bucket>();
  #count = 0;
  /** No bucket below this tick is occupied. */
  #lowest = 0;

  get size(): number {
    return this.#count;
  }

  add(item: T, dueAt: number): void {
    const tick = Math.floor(dueAt / DEADLINE_GRAIN_MS) + 1;
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = { tick, first: undefined };
      this.#buckets.set(tick, bucket);
      if (this.#count === 0 || tick < this.#lowest) this.#lowest = tick;
    }
    item.dueAt = dueAt;
    item.bucket = bucket;
    item.before = undefined;
    item.after = bucket.first;
    if (bucket.first !== undefined) bucket.first.before = item;
    bucket.first = item;
    this.#count += 1;
  }

  remove(item: T): void {
    const bucket = item.bucket;
    if (bucket === undefined) return;
    if (item.before !== undefined) item.before.after = item.after;
    else bucket.first = item.after;
    if (item.after !== undefined) item.after.before = item.before;
    item.bucket = undefined;
    item.before = undefined;
    item.after = undefined;
    if (bucket.first === undefined) this.#buckets.delete(bucket.tick);
    this.#count -= 1;
  }

  /** Removes and gives what is due. */
  expire(now: number): T[] {
    const due: T[] = [];
    if (this.#count === 0) return due;
    const tick = Math.floor(now / DEADLINE_GRAIN_MS);
    if (tick < this.#lowest) return due;
    for (const bucket of this.#buckets.values()) {
      if (bucket.tick > tick) continue;
      while (bucket.first !== undefined) {
        // Only T is ever added.
        const item = bucket.first as T;
        this.remove(item);
        due.push(item);
      }
    }
    this.#lowest = tick + 1;
    return due;
  }

  /** When to call `expire` next; undefined when nothing can be due. */
  nextDueAt(): number | undefined {
    let lowest: number | undefined;
    for (const tick of this.#buckets.keys()) if (lowest === undefined || tick < lowest) lowest = tick;
    return lowest === undefined ? undefined : lowest * DEADLINE_GRAIN_MS;
  }
}
