// Where streams wait that are no clients yet: bounded in number, so that whoever opens many and says nothing,
// or was refused and does not hang up, holds neither memory nor descriptors of a server that others need.

/** A stream on its way to become a client. */
export class Guest {
  readonly #lobby: Lobby;
  /** Ends the stream at once. Who learns more about the stream puts something politer here. */
  cutOff: () => void;

  constructor(lobby: Lobby, cutOff: () => void) {
    this.#lobby = lobby;
    this.cutOff = cutOff;
  }

  /** It has said who it is, and the server has the word: it is not cut off for newcomers. */
  greeted(): void {
    this.#lobby.keep(this);
  }

  /** It was refused, and should hang up: the server waits for it again. */
  dismissed(): void {
    this.#lobby.release(this);
  }

  /** It has become a client, or is gone. */
  leave(): void {
    this.#lobby.remove(this);
  }
}

export class Lobby {
  readonly #guestsMax: number;
  readonly #refused: () => void;
  /** For these the server waits; in the order in which they came. */
  readonly #silent = new Set<Guest>();
  /** These wait for the server. */
  readonly #kept = new Set<Guest>();

  /** `refused` is told of each that is cut off for want of room. */
  constructor(guestsMax: number, refused: () => void) {
    this.#guestsMax = guestsMax;
    this.#refused = refused;
  }

  get size(): number {
    return this.#silent.size + this.#kept.size;
  }

  /**
   * Takes a stream in. Where there is no room the one that has been silent longest is cut off; where none is
   * silent, the newcomer: then this gives undefined.
   */
  enter(cutOff: () => void): Guest | undefined {
    if (this.size >= this.#guestsMax) {
      this.#refused();
      const [longest] = this.#silent;
      if (longest === undefined) {
        cutOff();
        return undefined;
      }
      this.remove(longest);
      longest.cutOff();
    }
    const guest = new Guest(this, cutOff);
    this.#silent.add(guest);
    return guest;
  }

  /** Of guests alone, as are the next two. */
  keep(guest: Guest): void {
    if (this.#silent.delete(guest)) this.#kept.add(guest);
  }

  release(guest: Guest): void {
    if (this.#kept.delete(guest)) this.#silent.add(guest);
  }

  remove(guest: Guest): void {
    if (!this.#silent.delete(guest)) this.#kept.delete(guest);
  }
}
