// The other direction: requests that the server sends to this client, their handlers and their answers.

import { ipcError, IPCError, toError } from '../base/errors.ts';
import { Message } from '../protocol/messages.ts';
import { SendCredit } from '../session/credit.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import { Due, type Timekeeper } from './timekeeper.ts';

/** What a handler knows besides the message. */
export interface HandlerContext {
  /** Fires when the caller has cancelled, its time is over, or the connection is lost. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds since the epoch; undefined when it waits for ever. */
  readonly deadline: number | undefined;
}

/**
 * Answers requests. What it returns, or what its promise gives, is the response; an async generator
 * streams its responses; what it throws reaches the caller as an error.
 */
export type RequestHandler<Q = unknown, R = unknown> = (
  request: Message<Q>,
  context: HandlerContext,
) => R | Promise<R> | AsyncIterable<R>;

/** The part of a connection that answers go to. */
export interface AnswerLink {
  respond(id: number, value: unknown): void;
  refuse(id: number, error: IPCError): void;
  /** Sends one item of a stream; gives the bytes that it took. */
  streamData(id: number, value: unknown): number;
  streamEnd(id: number): void;
  /** The task is done. */
  finished(task: Task): void;
}

/** One request that is being answered. */
export class Task extends Due implements HandlerContext {
  readonly id: number;
  readonly deadline: number | undefined;
  readonly #link: AnswerLink;
  readonly #times: Timekeeper;
  readonly #streams: boolean;
  readonly #credit: SendCredit;
  #controller: AbortController | undefined;
  #stopped: IPCError | undefined;
  #done = false;
  #creditArrived: (() => void) | undefined;

  constructor(
    id: number,
    link: AnswerLink,
    times: Timekeeper,
    streams: boolean,
    windowBytes: number,
    deadline: number | undefined,
  ) {
    super();
    this.id = id;
    this.deadline = deadline;
    this.#link = link;
    this.#times = times;
    this.#streams = streams;
    this.#credit = new SendCredit(windowBytes);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopped !== undefined) this.#controller.abort(this.#stopped);
    }
    return this.#controller.signal;
  }

  run(handler: RequestHandler, request: Message): void {
    let result: unknown;
    try {
      result = handler(request, this);
    } catch (thrown) {
      this.#refuse(thrown);
      return;
    }
    if (typeof result === 'object' && result !== null && ('then' in result || Symbol.asyncIterator in result)) {
      this.#settle(result).catch((thrown: unknown) => this.#refuse(thrown));
    } else {
      this.#respond(result);
    }
  }

  grant(bytes: number): void {
    this.#credit.grant(bytes);
    this.#wake();
  }

  /** The caller wants no answer any more. With `answer` it is told so all the same. */
  stop(error: IPCError, answer: boolean): void {
    if (this.#done || this.#stopped !== undefined) return;
    this.#stopped = error;
    if (answer) this.#link.refuse(this.id, error);
    this.#finish();
    this.#controller?.abort(error);
    this.#wake();
  }

  override expired(): void {
    this.stop(ipcError('TIME_OUT', 'the caller has stopped waiting'), false);
  }

  async #settle(result: object | PromiseLike<unknown>): Promise<void> {
    const value: unknown = await result;
    if (typeof value === 'object' && value !== null && Symbol.asyncIterator in value) {
      await this.#stream(value as AsyncIterable<unknown>);
    } else {
      this.#respond(value);
    }
  }

  async #stream(items: AsyncIterable<unknown>): Promise<void> {
    if (!this.#streams) throw ipcError('REMOTE_STREAMS', 'the handler streams its response; call it with stream()');
    for await (const item of items) {
      while (!this.#credit.open && this.#stopped === undefined) {
        await new Promise<void>((resolve) => {
          this.#creditArrived = resolve;
        });
      }
      if (this.#stopped !== undefined) return;
      this.#credit.spend(this.#link.streamData(this.id, item) + CREDIT_OVERHEAD_BYTES);
    }
    if (this.#done) return;
    this.#link.streamEnd(this.id);
    this.#finish();
  }

  #respond(value: unknown): void {
    if (this.#done) return;
    try {
      this.#link.respond(this.id, value instanceof Message ? value.payload : value);
      this.#finish();
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #refuse(thrown: unknown): void {
    if (this.#done) return;
    this.#link.refuse(this.id, refusal(thrown));
    this.#finish();
  }

  #finish(): void {
    this.#done = true;
    if (this.bucket !== undefined) this.#times.remove(this);
    this.#link.finished(this);
  }

  #wake(): void {
    const wake = this.#creditArrived;
    this.#creditArrived = undefined;
    wake?.();
  }
}

/** Codes about this side's own troubles would mislead the caller, whose connection is well. */
function refusal(thrown: unknown): IPCError {
  const error = toError(thrown);
  if (!(error instanceof IPCError)) return ipcError('REMOTE_HANDLER_FAILED', error.message, { cause: error });
  if (
    error.code.startsWith('REMOTE_') ||
    error.code.startsWith('LIMIT_MESSAGE') ||
    error.code === 'USAGE_INVALID_PAYLOAD'
  ) {
    return error;
  }
  return ipcError('REMOTE_HANDLER_FAILED', error.message, {
    cause: error,
    details: { ...error.details, code: error.code },
  });
}
