// Messages without a copy: a received one where it lies in the ring, and one that is written there.

import { ipcError } from '../base/errors.ts';
import type { Ring } from './ring.ts';
import { STATUS } from './status.ts';

/** Up to this size a copy costs less than an array over the ring, which takes about a microsecond to make. */
export const COPIED_VIEW_BYTES = 4096;

/**
 * A received message where it lies. Until it is released, senders cannot use its place again: release it
 * soon. Messages of up to 4 KiB (but for one that follows a larger one), messages made of several chunks, and messages of channels that drop or evict,
 * are copies.
 *
 * @example
 * ```ts
 * using view = channel.tryReceiveView();
 * if (view) sum += checksum(view.data);
 * ```
 */
export class MessageView {
  /** Number of the message in its channel. */
  readonly sequence: number;
  /** Whether `data` lies in the ring; false: it is a copy. */
  readonly inRing: boolean;
  #data: Uint8Array | undefined;
  readonly #ring: Ring;
  readonly #release: (view: MessageView) => void;

  constructor(data: Uint8Array, sequence: number, inRing: boolean, ring: Ring, release: (view: MessageView) => void) {
    this.#data = data;
    this.sequence = sequence;
    this.inRing = inRing;
    this.#ring = ring;
    this.#release = release;
  }

  /** @throws IPCError `USAGE_RELEASED` after the release, or when the handle was closed. */
  get data(): Uint8Array {
    if (this.#data === undefined || !this.#ring.isOpen) throw ipcError('USAGE_RELEASED', 'the view was released');
    return this.#data;
  }

  /** Arrays over the message that somebody kept become empty; those over a copy may stay, filled with zeros. Idempotent. */
  release(): void {
    if (this.#data === undefined) return;
    if (this.#ring.isOpen) this.#release(this);
    this.#data = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * A place to write a message into. On a ROUTE that blocks it lies in the ring, so that `commit` sends
 * without a copy; elsewhere it is private memory.
 *
 * @example
 * ```ts
 * const loan = channel.loan(frame.byteLength);
 * camera.readInto(loan.data);
 * await loan.commit();
 * ```
 */
export class Loan {
  /** Whether the bytes lie in the ring; false: they are copied into it. */
  readonly inRing: boolean;
  #data: Uint8Array | undefined;
  readonly #bytes: number;
  readonly #commit: (data: Uint8Array) => Promise<void>;
  readonly #drop: () => void;

  constructor(data: Uint8Array, inRing: boolean, commit: (data: Uint8Array) => Promise<void>, drop: () => void) {
    this.#data = data;
    this.#bytes = data.length;
    this.inRing = inRing;
    this.#commit = commit;
    this.#drop = drop;
  }

  /** @throws IPCError `USAGE_RELEASED` after commit or release. */
  get data(): Uint8Array {
    if (this.#data === undefined) throw ipcError('USAGE_RELEASED', 'the loan was committed or released');
    return this.#data;
  }

  /** Sends the first `bytes` of it (all, if not given). */
  commit(bytes?: number): Promise<void> {
    const data = this.data;
    if (data.length !== this.#bytes) {
      this.release();
      return Promise.reject(ipcError('USAGE_RELEASED', 'the memory of the loan was transferred'));
    }
    const length = bytes ?? data.length;
    if (!Number.isInteger(length) || length < 0 || length > data.length) {
      return Promise.reject(
        ipcError('USAGE_INVALID_OPTION', `commit: expected 0 to ${data.length} bytes, got ${length}`),
      );
    }
    this.#data = undefined;
    return this.#commit(data.subarray(0, length));
  }

  /** Gives it back unsent. Idempotent. */
  release(): void {
    if (this.#data === undefined) return;
    this.#data = undefined;
    this.#drop();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

const NO_TICKET = 0;

/** The views and the loan that one handle has given out; all of them end with it. */
export class Views {
  readonly #ring: Ring;
  readonly #views = new Set<MessageView>();
  /** Whether the last view was of a message that is not copied: the next one probably is not, either. */
  #expectsLarge = false;
  #loaned: { buffer: ArrayBuffer; loan: Loan } | undefined;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  get count(): number {
    return this.#views.size;
  }
  get expectsLarge(): boolean {
    return this.#expectsLarge;
  }
  /** While a place in the ring is lent, nothing else can be sent. */
  get isLoaned(): boolean {
    return this.#loaned !== undefined;
  }

  tryReceive(): MessageView | undefined {
    const ring = this.#ring;
    const got = ring.receiveView();
    this.#expectsLarge = typeof got === 'number' ? got === STATUS.large : got.byteLength > COPIED_VIEW_BYTES;
    if (typeof got === 'number') {
      if (got === STATUS.empty) return undefined;
      if (got !== STATUS.large) throw ring.error('receive', got);
      const { sequence } = ring;
      return this.#open(ring.takeLarge(), sequence, NO_TICKET);
    }
    return this.#open(got, ring.sequence, ring.ticket);
  }

  /** Without a ticket it is a copy, which holds nothing up and otherwise behaves as the others do. */
  #open(buffer: ArrayBuffer, sequence: number, ticket: number): MessageView {
    const view = new MessageView(new Uint8Array(buffer), sequence, ticket !== NO_TICKET, this.#ring, (released) => {
      this.#views.delete(released);
      this.#ring.releaseView(buffer, ticket);
    });
    this.#views.add(view);
    return view;
  }

  /** A place in the ring; the status where there is none. */
  loan(bytes: number): Loan | number {
    const ring = this.#ring;
    const got = ring.loan(bytes);
    if (typeof got === 'number') return got;
    const end = (): void => {
      this.#loaned = undefined;
    };
    const loan = new Loan(
      new Uint8Array(got),
      true,
      async (data) => {
        const { length } = data;
        end();
        ring.check('send', ring.commitLoan(got, length));
      },
      () => {
        end();
        ring.commitLoan(got, -1);
      },
    );
    this.#loaned = { buffer: got, loan };
    return loan;
  }

  /** Before the region goes: nothing may point into it any more. */
  releaseAll(): void {
    for (const view of [...this.#views]) view.release();
    this.#loaned?.loan.release();
  }
}

const wipe = (view: MessageView): void => {
  view.data.fill(0);
};

/** A view of a copy; what was kept of it after the release shows nothing of the message either. */
export function copied(data: Uint8Array, sequence: number, ring: Ring): MessageView {
  return new MessageView(data, sequence, false, ring, wipe);
}
