// A request that a worker answers in the server's place: what the worker sends goes on to the caller as
// it is, undecoded; credit goes the other way.

import { ipcError, type IPCError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import { ReceiveCredit, SendCredit } from '../session/credit.ts';
import type { IncomingMessage, ServerChannel, Worker, WorkerCall } from './model.ts';
import { OutgoingCall } from './outgoing-call.ts';

export class ForwardedCall extends OutgoingCall implements WorkerCall {
  readonly request: IncomingMessage;
  readonly channel: ServerChannel | undefined;
  readonly #callerCredit: SendCredit;
  /** What the worker may still send of its stream: what it has sent and the caller not taken is held here. */
  readonly #workerCredit: ReceiveCredit;
  #worker: Worker | undefined;
  #held: Frame[] = [];
  #ended = false;
  #streamOver = false;

  constructor(request: IncomingMessage, channel: ServerChannel | undefined, windowBytes: number) {
    super();
    this.request = request;
    this.channel = channel;
    this.#callerCredit = new SendCredit(request.connection.streamWindowBytes);
    this.#workerCredit = new ReceiveCredit(windowBytes);
  }

  /** The request went out to this worker under the call's id. */
  given(worker: Worker): void {
    this.#worker = worker;
  }

  override response(frame: Frame): void {
    if (!this.#finish()) return;
    this.request.connection.respond(this.request, frame.content, frame.payload);
  }

  override fail(error: IPCError): void {
    if (!this.#finish()) return;
    this.request.connection.fail(this.request, error);
  }

  override streamData(frame: Frame): void {
    if (this.#ended || !this.#takesStream()) return;
    if (!this.#workerCredit.receive(frame.payloadBytes + CREDIT_OVERHEAD_BYTES)) {
      throw ipcError('PEER_FLOW_CONTROL', `STREAM_DATA on ${this.request.channelId} without credit`);
    }
    this.#held.push(frame);
    this.#pass();
  }

  override streamEnd(): void {
    if (!this.#takesStream()) return;
    this.#streamOver = true;
    this.#pass();
  }

  /** The caller takes more of the stream. */
  grant(bytes: number): void {
    this.#callerCredit.grant(bytes);
    this.#pass();
  }

  /** The caller cancelled, timed out or is gone: the worker is told, the caller is not answered. */
  abandon(): void {
    if (!this.#finish()) return;
    this.#worker?.cancelCall(this);
  }

  /** The worker is gone. */
  lost(): void {
    this.fail(ipcError('REMOTE_LOST', `the worker that was to answer on ${this.request.channelId} has gone`));
  }

  /** A worker that streams to a caller that takes no stream: the caller gets the error, the worker may stop. */
  #takesStream(): boolean {
    const { request } = this;
    if (request.takesStream) return true;
    const worker = this.#worker;
    this.fail(ipcError('REMOTE_STREAMS', `the worker of ${request.channelId} streams its response; use stream()`));
    worker?.cancelCall(this);
    return false;
  }

  #pass(): void {
    while (this.#held.length > 0 && this.#callerCredit.open) {
      const frame = this.#held.shift() as Frame;
      const bytes = frame.payloadBytes + CREDIT_OVERHEAD_BYTES;
      this.#callerCredit.spend(bytes);
      this.request.connection.streamData(this.request, frame.content, frame.payload);
      const grant = this.#workerCredit.consume(bytes);
      if (grant > 0) this.#worker?.grantStream(this, grant);
    }
    if (this.#streamOver && this.#held.length === 0 && this.#finish()) {
      this.request.connection.streamEnd(this.request);
    }
  }

  /** True the first time: whoever ends the call first has the word. */
  #finish(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.channel?.workers.settle(this);
    this.request.connection.callEnded(this.request);
    return true;
  }
}
