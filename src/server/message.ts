// A message as a handler of the server sees it: with the connection that it came from, and for a request
// with the caller's deadline and an AbortSignal. The signal is made when somebody asks for it.

import type { IPCError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { Message, type MessageType } from '../protocol/messages.ts';
import type { PayloadCodec } from '../protocol/payload.ts';
import type { IncomingMessage, Peer } from './model.ts';

export class ServerMessage<T = unknown> extends Message<T> implements IncomingMessage<T> {
  /** Who sent it. Identity is here, never in the payload. */
  readonly connection: Peer;
  /** Milliseconds since the epoch after which the caller takes no answer; undefined: none was given. */
  readonly deadline: number | undefined;
  /** The id by which the sender's protocol knows this message. */
  readonly wireId: number | string;
  /** Whether the caller takes a streamed response. */
  readonly takesStream: boolean;
  #controller: AbortController | undefined;
  #aborted: IPCError | undefined;

  constructor(
    connection: Peer,
    messageType: MessageType,
    channelId: string,
    frame: Frame | undefined,
    value: unknown,
    wireId: number | string,
    timeMs: number,
    deadline: number | undefined,
    takesStream: boolean,
    codec: PayloadCodec | undefined,
  ) {
    const numbered = typeof wireId === 'number';
    super(
      messageType,
      connection.appId,
      channelId,
      frame,
      value,
      numbered ? connection.id : wireId,
      numbered ? wireId : -1,
      timeMs,
      null,
      codec,
    );
    this.connection = connection;
    this.deadline = deadline;
    this.wireId = wireId;
    this.takesStream = takesStream;
    this.#controller = undefined;
    this.#aborted = undefined;
  }

  /** Fires when the caller cancels, its deadline passes or its connection is lost. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.#aborted);
    return this.#controller.signal;
  }

  /** Called by the server alone. */
  abort(reason: IPCError): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }
}
