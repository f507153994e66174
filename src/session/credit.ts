// Credit, in bytes: the sender may send while its credit is above zero (so a message larger than the
// window can pass), the receiver grants what was consumed. docs/protocol.md, "Credit".

/** What a sender may still send. */
export class SendCredit {
  readonly #initial: number;
  #available: number;

  constructor(initialBytes: number) {
    this.#initial = initialBytes;
    this.#available = initialBytes;
  }

  /** Has everything that was spent come back? */
  get full(): boolean {
    return this.#available >= this.#initial;
  }

  get open(): boolean {
    return this.#available > 0;
  }

  get availableBytes(): number {
    return this.#available;
  }

  spend(bytes: number): void {
    this.#available -= bytes;
  }

  grant(bytes: number): void {
    this.#available += bytes;
  }
}

/** What a receiver has allowed, taken and given back. */
export class ReceiveCredit {
  readonly #window: number;
  #allowed: number;
  #owed = 0;

  constructor(windowBytes: number) {
    this.#window = windowBytes;
    this.#allowed = windowBytes;
  }

  /** Records what arrived; false when the sender had no credit for it. */
  receive(bytes: number): boolean {
    const legal = this.#allowed > 0;
    this.#allowed -= bytes;
    return legal;
  }

  /** Bytes that may still arrive; what begins within them is legal. */
  get allowedBytes(): number {
    return this.#allowed;
  }

  /** Was everything that arrived consumed? */
  get idle(): boolean {
    return this.#allowed + this.#owed >= this.#window;
  }

  /** Records what was consumed; gives the bytes to grant now, 0 while it is not worth a frame. */
  consume(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed < this.#window / 2) return 0;
    return this.#grant();
  }

  /** Grants all that is owed, however little. */
  settle(): number {
    return this.#owed > 0 ? this.#grant() : 0;
  }

  #grant(): number {
    const bytes = this.#owed;
    this.#owed = 0;
    this.#allowed += bytes;
    return bytes;
  }
}
