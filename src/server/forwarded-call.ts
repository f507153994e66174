// A request that a worker answers in the server's place: what the worker sends goes on to the caller as
// it is, undecoded; credit goes the other way.

import { ipcError, type IPCError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import { SendCredit } from '../session/credit.ts';
import type { IncomingMessage, ServerChannel, Worker, WorkerCall } from './model.ts';
import { OutgoingCall } from './outgoing-call.ts';

export class ForwardedCall extends OutgoingCall implements WorkerCall {
  readonly request: IncomingMessage;
  readonly channel: ServerChannel | undefined;
  readonly #callerCredit: SendCredit;
  #worker: Worker | undefined;
  #held: Frame[] = [];
  #ended = false;
  #streamOver = false;

  constructor(request: IncomingMessage, channel: ServerChannel | undefined) {
    super();
    this.request = request;
    this.channel = channel;
    this.#callerCredit = new SendCredit(request.connection.streamWindowBytes);
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
    if (this.#ended) return;
    this.#held.push(frame);
    this.#pass();
  }

  override streamEnd(): void {
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

  #pass(): void {
    while (this.#held.length > 0 && this.#callerCredit.open) {
      const frame = this.#held.shift() as Frame;
      const bytes = frame.payloadBytes + CREDIT_OVERHEAD_BYTES;
      this.#callerCredit.spend(bytes);
      this.request.connection.streamData(this.request, frame.content, frame.payload);
      this.#worker?.grantStream(this, bytes);
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
