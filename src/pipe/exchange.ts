// One message on its way, from `send` to its outcome.

import { onAbort } from '../base/abort.ts';
import { abortError } from '../base/errors.ts';
import { PipeError } from './errors.ts';
import type { Expiring } from './expiry.ts';

export interface ExchangeOptions {
  /** 0: no limit. */
  readonly timeoutMs: number;
  /** 0: again and again. */
  readonly maxAttempts: number;
  readonly id: string;
  readonly signal: AbortSignal | undefined;
}

export interface ExchangeEnds {
  readonly resolve: (value: true) => void;
  readonly reject: (error: Error) => void;
}

export class Exchange implements Expiring {
  readonly seq: number;
  readonly message: string | Uint8Array;
  readonly id: string;
  readonly dueAt: number;
  /** Attempts that are left; it fails when there are none. */
  attemptsLeft: number;
  /** The life of the listener that may have processed it without our having heard. */
  sentTo: string | undefined;
  readonly #timeoutMs: number;
  readonly #resolve: (value: true) => void;
  readonly #reject: (error: Error) => void;
  readonly #onEnd: (exchange: Exchange) => void;
  /** Takes it off the signal that ends it. */
  readonly #unlisten: (() => void) | undefined;
  #controller: AbortController | undefined;
  #isOver = false;

  constructor(
    seq: number,
    message: string | Uint8Array,
    { timeoutMs, maxAttempts, id, signal }: ExchangeOptions,
    { resolve, reject }: ExchangeEnds,
    onEnd: (exchange: Exchange) => void,
  ) {
    this.seq = seq;
    this.message = message;
    this.id = id;
    this.dueAt = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY;
    this.attemptsLeft = maxAttempts === 0 ? Number.POSITIVE_INFINITY : maxAttempts;
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onEnd = onEnd;
    this.#unlisten = signal && onAbort(signal, () => this.fail(abortOf(signal)));
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

  expire(): void {
    const timeoutMs = this.#timeoutMs;
    this.fail(new PipeError('TIME_OUT', `not acknowledged within ${timeoutMs} ms`, { details: { timeoutMs } }));
  }

  fail(error: Error): void {
    if (!this.#end()) return;
    this.#controller?.abort(error);
    this.#reject(error);
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
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
