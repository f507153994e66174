// One message on its way, from `send` to its outcome.

import { onAbort } from '../base/abort.ts';
import { abortError } from '../base/errors.ts';
import { PipeError } from './errors.ts';

export interface ExchangeOptions {
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly id: string;
  readonly signal: AbortSignal | undefined;
}

export class Exchange {
  readonly seq: number;
  readonly payload: Buffer;
  readonly isText: boolean;
  readonly id: string;
  /** Attempts that are left; it fails when there are none. */
  attemptsLeft: number;
  /** The life of the listener that may have processed it without our having heard. */
  sentTo: string | undefined;
  readonly #onEnd: (exchange: Exchange) => void;
  readonly #resolve: (value: true) => void;
  readonly #reject: (error: Error) => void;
  /** Takes it off the signal that ends it. */
  readonly #unlisten: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #controller: AbortController | undefined;
  #isOver = false;

  constructor(
    seq: number,
    message: string | Uint8Array,
    options: ExchangeOptions,
    settle: { resolve: (value: true) => void; reject: (error: Error) => void; onEnd: (exchange: Exchange) => void },
  ) {
    this.seq = seq;
    this.isText = typeof message === 'string';
    this.payload = asBuffer(message);
    this.id = options.id;
    this.attemptsLeft = options.maxAttempts === 0 ? Number.POSITIVE_INFINITY : options.maxAttempts;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    this.#onEnd = settle.onEnd;
    const { signal, timeoutMs } = options;
    this.#unlisten = signal && onAbort(signal, () => this.fail(abortOf(signal)));
    if (timeoutMs > 0) {
      this.#timer = setTimeout(() => {
        this.fail(new PipeError('TIME_OUT', `not acknowledged within ${timeoutMs} ms`, { details: { timeoutMs } }));
      }, timeoutMs);
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Fires when the exchange ends before it was acknowledged. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  succeed(): void {
    if (this.#end()) this.#resolve(true);
  }

  fail(error: Error): void {
    if (!this.#end()) return;
    this.#controller?.abort(error);
    this.#reject(error);
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#unlisten?.();
    this.#onEnd(this);
    return true;
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortOf(signal);
}

/** The reason of an abort, as the error that `send` rejects with. */
function abortOf(signal: AbortSignal): PipeError {
  const error = abortError(signal);
  return new PipeError(error.code, error.message, { cause: signal.reason, details: error.details });
}

function asBuffer(message: string | Uint8Array): Buffer {
  if (typeof message === 'string') return Buffer.from(message);
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}
