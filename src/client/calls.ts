// What waits for an answer of the server, and the table in which an answer finds it by number.

import { onAbort } from '../base/abort.ts';
import { abortError, type IPCError, ipcError, toError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { decodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { Due, type Timekeeper } from './timekeeper.ts';

/** Who can be told that a call is of no interest any more. */
export interface Forgetful {
  /** `cancel`: the peer is told, too. */
  forget(id: number, cancel: boolean): void;
}

/** Anything that an answer, an error or the end of the connection completes. */
export abstract class Pending extends Due {
  /** Number on the connection; 0 while it was not sent. */
  id = 0;
  /** Where it was sent; undefined before, and after it has ended. */
  link: Forgetful | undefined;
  settled = false;
  readonly #times: Timekeeper;
  /** Takes it off the signal that ends it. */
  #unlisten: (() => void) | undefined;

  constructor(times: Timekeeper) {
    super();
    this.#times = times;
  }

  /** RESPONSE, OK, STREAM_DATA or STREAM_END. */
  abstract answered(frame: Frame): void;
  /** The pending operation has failed: told exactly once, and nothing after it. */
  protected abstract failed(error: IPCError): void;

  /** Starts what ends it early. `timeoutMs` 0 is for ever. */
  limit(timeoutMs: number, signal: AbortSignal | undefined): void {
    if (timeoutMs > 0) this.#times.add(this, timeoutMs);
    if (signal !== undefined) this.#unlisten = onAbort(signal, () => this.cancel(abortError(signal)));
  }

  /** Takes it out of everything that could end it. False when it had ended before. */
  finish(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.link = undefined;
    if (this.bucket !== undefined) this.#times.remove(this);
    if (this.#unlisten !== undefined) {
      this.#unlisten();
      this.#unlisten = undefined;
    }
    return true;
  }

  fail(error: IPCError): void {
    if (this.finish()) this.failed(error);
  }

  /** Ends it here and tells the peer that nobody waits. */
  cancel(error: IPCError): void {
    const { link, id } = this;
    if (this.settled) return;
    link?.forget(id, true);
    this.fail(error);
  }

  override expired(): void {
    const { link, id } = this;
    link?.forget(id, false);
    this.fail(
      ipcError('TIME_OUT', id === 0 ? 'could not be sent within the time-out' : 'not answered within the time-out'),
    );
  }
}

/** A pending operation that somebody awaits: its promise gives what `read` makes of the answer. */
export abstract class Call<R> extends Pending {
  readonly promise: Promise<R>;
  readonly #resolve: (value: R) => void;
  readonly #reject: (error: Error) => void;

  constructor(times: Timekeeper) {
    super(times);
    this.promise = new Promise<R>(capture as Executor<R>);
    this.#resolve = captured.resolve as (value: R) => void;
    this.#reject = captured.reject;
  }

  protected abstract read(frame: Frame): R;

  override answered(frame: Frame): void {
    if (!this.finish()) return;
    let value: R;
    try {
      value = this.read(frame);
    } catch (thrown) {
      this.#reject(toError(thrown));
      return;
    }
    this.#resolve(value);
  }

  /** Completes it without a frame. */
  done(value: R): void {
    if (this.finish()) this.#resolve(value);
  }

  protected override failed(error: IPCError): void {
    this.#reject(error);
  }
}

/** What a schema makes of a payload; throws for what does not fit. */
export type PayloadReader = (payload: unknown) => unknown;

/** Gives the payload of the answer. */
export class PayloadCall extends Call<unknown> {
  readonly #codec: PayloadCodec | undefined;
  readonly #reader: PayloadReader | undefined;

  constructor(times: Timekeeper, codec: PayloadCodec | undefined, reader: PayloadReader | undefined) {
    super(times);
    this.#codec = codec;
    this.#reader = reader;
  }

  protected override read(frame: Frame): unknown {
    const payload = decodePayload(frame.content, frame.payload, this.#codec);
    return this.#reader === undefined ? payload : this.#reader(payload);
  }
}

/** Gives the number in an OK: how many received a publish. */
export class Acknowledgement extends Call<number> {
  protected override read(frame: Frame): number {
    return frame.value;
  }
}

type Executor<R> = (resolve: (value: R) => void, reject: (error: Error) => void) => void;

// One executor for all promises: a call makes no closure of its own.
const captured: { resolve: (value: never) => void; reject: (error: Error) => void } = {
  resolve: () => {},
  reject: () => {},
};
const capture: Executor<never> = (resolve, reject) => {
  captured.resolve = resolve;
  captured.reject = reject;
};

const SLOTS = 4096;

/**
 * Pending operations by id. Ids are given in sequence, so nearly all of them find their slot free; the
 * rest, which have been waiting for long, live in a map.
 */
export class CallTable {
  readonly #slots: (Pending | undefined)[] = Array.from({ length: SLOTS });
  readonly #overflow = new Map<number, Pending>();
  readonly #held = new Set<number>();
  #lastId = 0;
  #wrapped = false;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Gives the pending operation a new id and keeps it under that. */
  add(pending: Pending): number {
    const id = this.#nextId();
    pending.id = id;
    const slot = id & (SLOTS - 1);
    if (this.#slots[slot] === undefined) this.#slots[slot] = pending;
    else this.#overflow.set(id, pending);
    this.#size += 1;
    return id;
  }

  get(id: number): Pending | undefined {
    const found = this.#slots[id & (SLOTS - 1)];
    if (found !== undefined && found.id === id) return found;
    return this.#overflow.size === 0 ? undefined : this.#overflow.get(id);
  }

  take(id: number): Pending | undefined {
    const slot = id & (SLOTS - 1);
    const found = this.#slots[slot];
    if (found !== undefined && found.id === id) {
      this.#slots[slot] = undefined;
      this.#size -= 1;
      return found;
    }
    if (this.#overflow.size === 0) return undefined;
    const other = this.#overflow.get(id);
    if (other !== undefined) {
      this.#overflow.delete(id);
      this.#size -= 1;
    }
    return other;
  }

  /** Removes and gives all. */
  drain(): Pending[] {
    const all = this.#slots.filter((pending) => pending !== undefined);
    all.push(...this.#overflow.values());
    this.#slots.fill(undefined);
    this.#overflow.clear();
    this.#size = 0;
    return all;
  }

  /** Keeps an id from being given again, although its operation was answered: a subscription's. */
  hold(id: number): void {
    this.#held.add(id);
  }

  release(id: number): void {
    this.#held.delete(id);
  }

  #nextId(): number {
    do {
      if (this.#lastId === 0xffff_ffff) {
        this.#lastId = 0;
        this.#wrapped = true;
      }
      this.#lastId += 1;
    } while (this.#wrapped && (this.#held.has(this.#lastId) || this.get(this.#lastId) !== undefined));
    return this.#lastId;
  }
}
