// The connections that serve one channel's requests. Each request goes to the one with the least in
// flight; between equals they take turns. What a worker has not answered is known, so that its callers
// can be told when it goes.

export interface Worker<C extends object> {
  readonly connection: C;
  readonly maxInFlight: number;
  readonly inFlight: number;
}

interface Place<C extends object, R extends object> extends Worker<C> {
  maxInFlight: number;
  inFlight: number;
  readonly requests: Set<R>;
}

export class WorkGroup<C extends object, R extends object> {
  #places: Place<C, R>[] = [];
  readonly #holders = new Map<R, Place<C, R>>();
  /** Where the search begins, so that equals take turns. */
  #next = 0;

  get size(): number {
    return this.#places.length;
  }

  /** How many requests are with workers now. */
  get inFlight(): number {
    return this.#holders.size;
  }

  workers(): readonly Worker<C>[] {
    return this.#places.map(({ connection, maxInFlight, inFlight }) => ({ connection, maxInFlight, inFlight }));
  }

  /** A connection serves once; again only sets its bound anew. `false` where it served already. */
  add(connection: C, maxInFlight: number): boolean {
    const known = this.#places.find((place) => place.connection === connection);
    if (known !== undefined) {
      known.maxInFlight = maxInFlight;
      return false;
    }
    this.#places.push({ connection, maxInFlight, inFlight: 0, requests: new Set() });
    return true;
  }

  /** Gives what it had not answered, oldest first; `undefined` where the connection did not serve. */
  remove(connection: C): readonly R[] | undefined {
    const index = this.#places.findIndex((place) => place.connection === connection);
    const place = this.#places[index];
    if (place === undefined) return undefined;
    this.#places.splice(index, 1);
    if (index < this.#next) this.#next -= 1;
    for (const request of place.requests) this.#holders.delete(request);
    return [...place.requests];
  }

  /** Hands the request to the worker with the least in flight; `undefined` where all are full or none is there. */
  assign(request: R): C | undefined {
    let best: Place<C, R> | undefined;
    let bestIndex = 0;
    const count = this.#places.length;
    for (let turn = 0; turn < count; turn += 1) {
      const index = (this.#next + turn) % count;
      const place = this.#places[index] as Place<C, R>;
      if (place.inFlight >= place.maxInFlight) continue;
      if (best !== undefined && place.inFlight >= best.inFlight) continue;
      best = place;
      bestIndex = index;
      if (place.inFlight === 0) break;
    }
    if (best === undefined) return undefined;
    this.#next = bestIndex + 1;
    best.inFlight += 1;
    best.requests.add(request);
    this.#holders.set(request, best);
    return best.connection;
  }

  /** The request was answered, failed or is wanted no more. `false` where no worker held it. */
  settle(request: R): boolean {
    const place = this.#holders.get(request);
    if (place === undefined) return false;
    this.#holders.delete(request);
    place.requests.delete(request);
    place.inFlight -= 1;
    return true;
  }
}
