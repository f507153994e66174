// The receiving half of a channel: one message now, one when it comes, or each to a handler.

import type { Bell } from './bell.ts';
import { Inbox } from './inbox.ts';
import type { ResolvedOptions, ResolvedWait } from './options.ts';
import { type Ring, WAIT } from './ring.ts';
import { callOut, isPromise, throwApart } from './outcalls.ts';
import { closedError, timeoutError, STATUS } from './status.ts';
import { WaitingQueue } from './waiting.ts';
import { abortError, IPCError, toError } from '../base/errors.ts';
import { invalidOption } from '../base/options.ts';
import { withStatus } from './status.ts';

/** What is known of a message besides its bytes. */
export interface MessageInfo {
  /** The message's number in the one order of the channel, from 0. */
  readonly sequence: number;
  /** How many messages before this one were dropped for this receiver. */
  readonly missed: number;
}

/**
 * Called for each message. What it returns may be a promise: the next message for handlers waits until that is
 * settled, and a rejection ends up where those do that nobody handles.
 */
export type MessageHandler = (data: Buffer, info: MessageInfo) => unknown;

/** How a handler wants its messages. */
export interface HandlerOptions {
  /**
   * The bytes are lent: they are overwritten when the handler has returned (or its promise is settled), and the same
   * Buffer may come again with the next message, so copy what is kept. Saves memory and the garbage collector's time. Default false.
   */
  readonly borrow?: boolean;
}

/** A blocked thread looks this often whether a ringer was killed, in ms. */
const SLICE_MS = 50;
/** A handler gets messages for so many ms before others of the event loop have their turn; looked at after each so many. */
const TURN_MS = 4;
const TURN_LOOK = 16;
/**
 * So many receives in a row may be answered at once before the event loop has a turn. Memory of messages is
 * used again only after a turn, so that large ones count for more: one for each of so many bytes.
 */
const BURST = 2048;
const BURST_BYTES_SHIFT = 12;
/** Spinning stops being tried each time after so many vain spins, and is tried once in so many. */
const VAIN_SPINS = 4;
const RARE_SPIN = 32;

export const lengthOf = (data: Buffer): number => data.length;

interface Registration {
  readonly handler: MessageHandler;
  readonly borrows: boolean;
  active: boolean;
}

export class Receiver {
  readonly inbox: Inbox;
  /** How many messages were dropped for this receiver since it joined. */
  missedTotal = 0;
  onMissed: ((count: number, before: number) => void) | undefined;
  onFailure: ((error: Error) => void) | undefined;

  readonly #ring: Ring;
  readonly #bell: Bell;
  readonly #options: ResolvedOptions;
  /** Each with what takes his message, and gives what he gets. */
  readonly #waiting: WaitingQueue<unknown, () => unknown>;
  readonly #takeOne = (): Buffer | undefined => this.take();
  /** Made anew with every change: whoever goes through it is not disturbed. */
  #handlers: readonly Registration[] = [];
  /** Whether all who get messages now borrow them. */
  #lends = false;
  /** How many promises of handlers the next message waits for. */
  #atWork = 0;
  /** Handlers and listeners may come back here. */
  #pumping = false;
  /** What was missed is told when the message has gone to who waited for it. */
  #servesWaiter = false;
  #untold: { count: number; before: number } | undefined;
  #burst = 0;
  #vain = 0;
  #continuing = false;
  #keepAlive = true;

  constructor(ring: Ring, bell: Bell, options: ResolvedOptions) {
    this.#ring = ring;
    this.#bell = bell;
    this.#options = options;
    this.inbox = new Inbox(ring);
    this.#waiting = new WaitingQueue('receive', ring.name, () => this.#idle());
  }

  /** `largest`: larger ones stay in the ring. */
  take(borrow = false, largest?: number): Buffer | undefined {
    const data = this.inbox.take(borrow, largest);
    if (data !== undefined && this.inbox.missed > 0) this.#countMissed();
    return data;
  }

  /** How many bytes were put into the place; undefined when there is no message. */
  takeInto(place: Uint8Array): number | undefined {
    const bytes = this.inbox.takeInto(place);
    if (bytes === undefined) return undefined;
    if (bytes < 0) {
      const room = `room for the next message, which has ${-1 - bytes} bytes`;
      throw withStatus('receive', invalidOption('place', place.length, room));
    }
    if (this.inbox.missed > 0) this.#countMissed();
    return bytes;
  }

  #countMissed(): void {
    const { missed, sequence } = this.inbox;
    this.missedTotal += missed;
    if (this.#servesWaiter) {
      this.#untold = { count: missed, before: sequence };
      return;
    }
    callOut(() => this.onMissed?.(missed, sequence));
    // A listener may have received others.
    this.inbox.missed = missed;
    this.inbox.sequence = sequence;
  }

  /** The next message if it can be had at once, without taking it from those who wait or the event loop's turn. */
  takeAtOnce(): Buffer | undefined {
    if (this.#waiting.size > 0 || this.#burst >= BURST) return undefined;
    const data = this.take();
    if (data !== undefined) this.#burst += 1 + (data.length >>> BURST_BYTES_SHIFT);
    return data;
  }

  receive(wait: ResolvedWait): Promise<Buffer> {
    return this.receiveBy(this.#takeOne, lengthOf, wait);
  }

  /** Waits until `attempt` takes something; `bytesOf` says how large that is. Who came first is served first. */
  receiveBy<T>(attempt: () => T | undefined, bytesOf: (got: T) => number, wait: ResolvedWait): Promise<T> {
    try {
      if (wait.signal?.aborted) throw withStatus('receive', abortError(wait.signal));
      // After a burst whoever waits is served in the next turn, so that those who come meanwhile stand behind him.
      if (this.#waiting.size === 0 && (this.#burst < BURST || wait.timeoutMs === 0)) {
        const got = attempt() ?? (wait.timeoutMs > 0 && this.#spins() ? attempt() : undefined);
        if (got !== undefined) {
          this.#burst += 1 + (bytesOf(got) >>> BURST_BYTES_SHIFT);
          return Promise.resolve(got);
        }
      }
      if (wait.timeoutMs === 0) throw timeoutError('receive', this.#ring.name, 0);
    } catch (error) {
      return Promise.reject(toError(error));
    }
    const rests = this.#burst >= BURST;
    this.#burst = 0;
    const promise = this.#waiting.add(attempt, wait) as Promise<T>;
    if (rests) this.#later();
    // Behind others, who are listened for already, it will be his turn.
    else if (this.#waiting.size === 1) this.#pump();
    return promise;
  }

  /** Blocks the thread. */
  receiveSync(timeoutMs: number): Buffer {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const data = this.take();
      if (data !== undefined) return data;
      const left = deadline - performance.now();
      if (left <= 0) throw timeoutError('receive', this.#ring.name, timeoutMs);
      if (this.#options.wait === 'busy') this.#ring.spin(WAIT.data, 1000);
      else if (!this.#spins()) this.#ring.wait(WAIT.data, Math.max(1, Math.min(SLICE_MS, Math.ceil(left))));
      if (!this.#ring.isOpen) throw this.#ring.error('receive', STATUS.empty);
    }
  }

  /** Spins as the mode says; a receiver whose spins are vain goes to sleep at once, most of the times. */
  #spins(): boolean {
    const { wait, spinMicros } = this.#options;
    if (wait === 'sleep') return false;
    if (wait === 'spin' && this.#vain >= VAIN_SPINS && this.#vain++ % RARE_SPIN !== 0) return false;
    if (!this.#ring.spin(WAIT.data, spinMicros)) {
      if (this.#vain < VAIN_SPINS) this.#vain++;
      return false;
    }
    this.#vain = 0;
    return true;
  }

  addHandler(handler: MessageHandler, borrows: boolean): () => void {
    const own: Registration = { handler, borrows, active: true };
    this.#setHandlers([...this.#handlers, own]);
    // Not before the caller has what ends it, should the handler want that with the first message.
    queueMicrotask(this.#pump);
    return () => {
      own.active = false;
      this.#setHandlers(this.#handlers.filter((other) => other !== own));
      this.#idle();
    };
  }

  #setHandlers(handlers: readonly Registration[]): void {
    this.#handlers = handlers;
    this.#lends = handlers.length > 0 && handlers.every(({ borrows }) => borrows);
  }

  /** Ends the waiting of whoever waits with this attempt. */
  giveUp(attempt: () => unknown): void {
    this.#waiting.rejectOf(attempt, closedError('receive', this.#ring.name));
    this.#idle();
  }

  setKeepAlive(keepAlive: boolean): void {
    this.#keepAlive = keepAlive;
    if (this.#isWanted()) this.#bell.listen(WAIT.data, this.#pump, keepAlive);
  }

  #isWanted(): boolean {
    return this.#waiting.size > 0 || this.#handlers.length > 0;
  }

  #idle(): void {
    if (!this.#isWanted()) this.#bell.stop(WAIT.data);
  }

  readonly #pump = (): void => {
    if (this.#pumping || this.#continuing || !this.#isWanted() || !this.#ring.isOpen) return;
    this.#pumping = true;
    let failure: Error | undefined;
    try {
      this.#serveAll();
    } catch (error) {
      failure = toError(error);
    }
    this.#pumping = false;
    if (failure) this.#fail(failure);
  };

  #serveAll(): void {
    const until = performance.now() + TURN_MS;
    for (let given = 1; this.#isWanted(); given++) {
      // It goes on when the handlers have done with the last message.
      if (this.#atWork > 0 && this.#waiting.size === 0) return;
      if (!this.#serve()) {
        // A sender that goes on sending would otherwise ring for every message.
        if (!this.#spins()) {
          this.#bell.listen(WAIT.data, this.#pump, this.#keepAlive);
          // What looks all the time would hold the process.
          if (this.#options.wait === 'busy' && this.#keepAlive) {
            this.#later();
            return;
          }
          if (!this.#bell.arm(WAIT.data)) return;
        }
        // What has come may be no message yet, or never become one; a turn ends all the same.
        if (performance.now() <= until) continue;
        this.#later();
        return;
      }
      if (given % TURN_LOOK === 0 && performance.now() > until && this.#isWanted()) {
        this.#later();
        return;
      }
    }
    this.#idle();
  }

  /** One message to the first who waits, else to the handlers; false when there is none. */
  #serve(): boolean {
    const attempt = this.#waiting.first;
    if (!attempt) {
      const data = this.take(this.#lends);
      if (data !== undefined) this.#give(data);
      return data !== undefined;
    }
    try {
      const got = this.#attempted(attempt);
      if (got === undefined) return false;
      this.#waiting.resolveFirst(got);
      const untold = this.#untold;
      this.#untold = undefined;
      if (untold) callOut(() => this.onMissed?.(untold.count, untold.before));
    } catch (error) {
      // The message does not fit into the place that was given for it: it is the next one's.
      if (!(error instanceof IPCError) || error.code !== 'USAGE_INVALID_OPTION') throw error;
      this.#waiting.rejectFirst(error);
    }
    return true;
  }

  /** Listeners are not called meanwhile: they might end the waiting of the very one who is served. */
  #attempted(attempt: () => unknown): unknown {
    this.#servesWaiter = true;
    try {
      return attempt();
    } finally {
      this.#servesWaiter = false;
    }
  }

  #give(data: Buffer): void {
    // Handlers may receive others meanwhile.
    const { sequence, missed } = this.inbox;
    for (const registration of this.#handlers) {
      if (registration.active) this.#call(registration.handler, data, { sequence, missed });
    }
  }

  #call(handler: MessageHandler, data: Buffer, info: MessageInfo): void {
    try {
      const result = handler(data, info);
      if (result !== undefined && isPromise(result)) this.#waitFor(result);
    } catch (error) {
      throwApart(error);
    }
  }

  #waitFor(work: PromiseLike<unknown>): void {
    this.#atWork++;
    const done = (): void => {
      if (--this.#atWork === 0) this.#pump();
    };
    // A rejection is handed on to nobody, and is reported as one that nobody handles.
    void Promise.resolve(work).finally(done);
  }

  #later(): void {
    if (this.#continuing) return;
    this.#continuing = true;
    setImmediate(() => {
      this.#continuing = false;
      this.#pump();
    });
  }

  #fail(error: Error): void {
    this.#bell.stop(WAIT.data);
    const told = this.#waiting.size > 0;
    this.#waiting.rejectAll(() => error);
    if (!told || this.#handlers.length > 0) callOut(() => this.onFailure?.(error));
  }

  /** After a rejoin: whoever still wants messages gets them again. */
  resume(): void {
    this.#pump();
  }

  close(): void {
    this.#waiting.rejectAll(() => closedError('receive', this.#ring.name));
    for (const registration of this.#handlers) registration.active = false;
    this.#setHandlers([]);
  }
}
