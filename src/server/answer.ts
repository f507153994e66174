// Runs a handler and turns what it gives, throws or yields into the answer. A handler that answers at once
// costs no promise; one that takes its time can be cancelled and times out.

import { ipcError, IPCError, toError } from '../base/errors.ts';
import { encodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { SendCredit } from '../session/credit.ts';
import { Deadline } from '../session/deadlines.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import type { Handler, IncomingCall, IncomingMessage } from './model.ts';

/** A request that is being worked on. */
export class RunningCall extends Deadline implements IncomingCall {
  readonly request: IncomingMessage;
  #credit: SendCredit | undefined;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(request: IncomingMessage) {
    super();
    this.request = request;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The caller takes more of the stream. */
  grant(bytes: number): void {
    this.#credit?.grant(bytes);
    this.#wake?.();
  }

  /** Ends the work: the caller cancelled, its time is over or it has gone. No answer is sent after this. */
  abandon(reason: IPCError): void {
    if (!this.end()) return;
    this.request.abort(reason);
    this.#wake?.();
  }

  /** True the first time. */
  end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.request.connection.callEnded(this.request);
    return true;
  }

  /** Sends what the iterator yields, no faster than the caller takes it. */
  async stream(iterator: AsyncIterator<unknown> | Iterator<unknown>, codec: PayloadCodec | undefined): Promise<void> {
    const { connection } = this.request;
    const credit = new SendCredit(connection.streamWindowBytes);
    this.#credit = credit;
    try {
      for (;;) {
        const next = await iterator.next();
        if (this.#ended || next.done === true) break;
        const { content, bytes } = encodePayload(next.value, codec);
        while (!credit.open && !this.#ended) await this.#granted();
        if (this.#ended) break;
        credit.spend(bytes.length + CREDIT_OVERHEAD_BYTES);
        connection.streamData(this.request, content, bytes);
      }
    } catch (thrown) {
      if (this.end()) connection.fail(this.request, handlerError(thrown));
      // What it yielded could not be sent: it has not ended yet.
      await closeIterator(iterator);
      return;
    }
    if (this.end()) connection.streamEnd(this.request);
    else await closeIterator(iterator);
  }

  #granted(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** Calls the handler and answers. `track` is called when the answer will come later. */
export function answer(
  request: IncomingMessage,
  handler: Handler,
  codec: PayloadCodec | undefined,
  track: (call: RunningCall) => void,
): void {
  const { connection } = request;
  let result: unknown;
  try {
    result = handler(request, connection);
    if (!isLater(result)) {
      const { content, bytes } = encodePayload(result, codec);
      connection.respond(request, content, bytes);
      return;
    }
  } catch (thrown) {
    connection.fail(request, handlerError(thrown));
    return;
  }
  const call = new RunningCall(request);
  track(call);
  void finish(call, result, codec);
}

async function finish(call: RunningCall, result: unknown, codec: PayloadCodec | undefined): Promise<void> {
  const { request } = call;
  const { connection } = request;
  try {
    const value = await (result as PromiseLike<unknown>);
    const iterator = iteratorOf(value);
    if (iterator !== undefined) {
      if (request.takesStream) {
        await call.stream(iterator, codec);
        return;
      }
      await closeIterator(iterator);
      throw ipcError(
        'REMOTE_STREAMS',
        `the handler of ${request.channelId} streams its response; call it with stream()`,
      );
    }
    const { content, bytes } = encodePayload(value, codec);
    if (call.end()) connection.respond(request, content, bytes);
  } catch (thrown) {
    if (call.end()) connection.fail(request, handlerError(thrown));
  }
}

/** What a handler threw as the error that its caller gets: an `IPCError` keeps its code, the rest its text. */
export function handlerError(thrown: unknown): IPCError {
  try {
    if (thrown instanceof IPCError) return thrown;
    const error = toError(thrown);
    const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
    return ipcError('REMOTE_HANDLER_FAILED', error.message, { cause: thrown, details: { name: error.name, ...code } });
  } catch {
    return ipcError('REMOTE_HANDLER_FAILED', 'the handler threw something that cannot be looked at');
  }
}

function isLater(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function' || isStream(value);
}

/** An async iterable, or a generator; arrays and other collections are plain values. */
function isStream(value: object): value is AsyncIterable<unknown> | Generator<unknown> {
  return Symbol.asyncIterator in value || (Symbol.iterator in value && 'next' in value && 'return' in value);
}

function iteratorOf(value: unknown): AsyncIterator<unknown> | Iterator<unknown> | undefined {
  if (typeof value !== 'object' || value === null || !isStream(value)) return undefined;
  return Symbol.asyncIterator in value ? value[Symbol.asyncIterator]() : value[Symbol.iterator]();
}

/** Lets a generator run its `finally`; what it throws there concerns nobody any more. */
async function closeIterator(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The call has ended; there is nobody to tell.
  }
}
