// A streamed response as an async iterable, with credit: the sender waits when nobody takes.

import { abortError, ipcError, type IPCError, toError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameType } from '../protocol/frame-types.ts';
import { decodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { ReceiveCredit } from '../session/credit.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import { type Forgetful, type PayloadReader, Pending } from './calls.ts';
import type { Timekeeper } from './timekeeper.ts';

/** The part of a connection that a stream speaks to. */
export interface StreamLink extends Forgetful {
  grantStream(id: number, bytes: number): void;
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: Error) => void;
}

/** The pending request of a stream: what arrived and was not taken. */
class StreamRequest<T> extends Pending {
  readonly #codec: PayloadCodec | undefined;
  readonly #reader: PayloadReader | undefined;
  readonly #credit: ReceiveCredit;
  #stream: StreamLink | undefined;
  #queue: Frame[] = [];
  #waiting: Waiting<T>[] = [];
  #error: IPCError | undefined;

  constructor({ times, codec, reader, streamWindowBytes }: StreamOwner) {
    super(times);
    this.#codec = codec;
    this.#reader = reader;
    this.#credit = new ReceiveCredit(streamWindowBytes);
  }

  override answered(frame: Frame): void {
    if (frame.type === FrameType.STREAM_DATA) {
      this.#stream = this.link as StreamLink | undefined;
      if (!this.#credit.receive(frame.payloadBytes + CREDIT_OVERHEAD_BYTES)) {
        throw ipcError('PEER_FLOW_CONTROL', 'more was streamed than the credit allowed');
      }
      this.#offer(frame);
      return;
    }
    this.#stream = undefined;
    if (!this.finish()) return;
    // A handler that does not stream: its response is the only item.
    if (frame.type === FrameType.RESPONSE) this.#offer(frame);
    for (const waiting of this.#waiting.splice(0)) waiting.resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const frame = this.#queue.shift();
    if (frame !== undefined) {
      return new Promise((resolve, reject) => this.#take(frame, { resolve, reject }));
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.settled) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Nobody will take any more. */
  leave(): void {
    this.#queue = [];
    this.cancel(ipcError('TIME_CANCELLED', 'the stream was left'));
    this.#error = undefined;
  }

  protected override failed(error: IPCError): void {
    this.#stream = undefined;
    this.#error = error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #offer(frame: Frame): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue.push(frame);
    else this.#take(frame, waiting);
  }

  #take(frame: Frame, waiting: Waiting<T>): void {
    const grant = this.#credit.consume(frame.payloadBytes + CREDIT_OVERHEAD_BYTES);
    if (grant > 0) this.#stream?.grantStream(this.id, grant);
    try {
      const payload = decodePayload(frame.content, frame.payload, this.#codec);
      const value = (this.#reader === undefined ? payload : this.#reader(payload)) as T;
      waiting.resolve({ done: false, value });
    } catch (thrown) {
      waiting.reject(toError(thrown));
    }
  }
}

/** What a stream asks of its client. */
export interface StreamOwner {
  readonly times: Timekeeper;
  readonly codec: PayloadCodec | undefined;
  readonly reader: PayloadReader | undefined;
  readonly streamWindowBytes: number;
  /** Sends the request. */
  begin(request: Pending): void;
}

/**
 * The responses to one request. The request leaves with the first `next()`; leaving the loop cancels it
 * at the server.
 */
export class ResponseStream<T> implements AsyncIterableIterator<T, undefined>, AsyncDisposable {
  readonly #owner: StreamOwner;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  #request: StreamRequest<T> | undefined;
  #left = false;

  /** Made by `client.stream`. */
  constructor(owner: StreamOwner, timeoutMs: number, signal: AbortSignal | undefined) {
    this.#owner = owner;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next item; `done` after the last. Rejects with what ended the stream, if it was an error. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#left) return Promise.resolve({ done: true, value: undefined });
    if (this.#request === undefined) {
      if (this.#signal?.aborted === true) return Promise.reject(abortError(this.#signal));
      const request = new StreamRequest<T>(this.#owner);
      this.#request = request;
      request.limit(this.#timeoutMs, this.#signal);
      try {
        this.#owner.begin(request);
      } catch (thrown) {
        request.finish();
        this.#left = true;
        return Promise.reject(toError(thrown));
      }
    }
    return this.#request.next();
  }

  /** Leaves the stream: the request is cancelled. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#left = true;
    this.#request?.leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
