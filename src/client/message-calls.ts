// Requests whose answer is wanted as a whole message.

import { asIpcError, type IPCError, toError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { Message, MessageType } from '../protocol/messages.ts';
import type { PayloadCodec } from '../protocol/payload.ts';
import { Call, type PayloadReader, Pending } from './calls.ts';
import { isThenable } from './listeners.ts';
import type { Timekeeper } from './timekeeper.ts';

/** What a message is made with, beside its frame. */
export interface MessageOrigin {
  readonly times: Timekeeper;
  readonly codec: PayloadCodec | undefined;
  readonly appId: string;
  /** Milliseconds since the epoch. */
  now(): number;
  handlerFailed(error: Error, channel: string): void;
  responseReader(channel: string): PayloadReader | undefined;
}

/** Gives the response as a message, or null at the time-out when that is wanted. */
export class MessageCall extends Call<Message | null> {
  readonly #origin: MessageOrigin;
  readonly #channel: string;
  readonly #messageId: string;
  readonly #nullOnTimeout: boolean;

  constructor(origin: MessageOrigin, channel: string, messageId: string, nullOnTimeout: boolean) {
    super(origin.times);
    this.#origin = origin;
    this.#channel = channel;
    this.#messageId = messageId;
    this.#nullOnTimeout = nullOnTimeout;
  }

  override expired(): void {
    if (!this.#nullOnTimeout) {
      super.expired();
      return;
    }
    this.link?.forget(this.id, false);
    this.done(null);
  }

  protected override read(frame: Frame): Message {
    return responseOf(this.#origin, this.#channel, this.#messageId, frame);
  }
}

/** Called with the response, or with null and what went wrong. */
export type ResponseCallback<T = unknown> = (response: Message<T> | null, error: IPCError | null) => unknown;

/** Gives the response to a callback. */
export class CallbackCall extends Pending {
  readonly #origin: MessageOrigin;
  readonly #channel: string;
  readonly #messageId: string;
  readonly #callback: ResponseCallback;

  constructor(origin: MessageOrigin, channel: string, messageId: string, callback: ResponseCallback) {
    super(origin.times);
    this.#origin = origin;
    this.#channel = channel;
    this.#messageId = messageId;
    this.#callback = callback;
  }

  override answered(frame: Frame): void {
    if (!this.finish()) return;
    let response: Message;
    try {
      response = responseOf(this.#origin, this.#channel, this.#messageId, frame);
    } catch (thrown) {
      this.#call(null, asIpcError(thrown));
      return;
    }
    this.#call(response, null);
  }

  protected override failed(error: IPCError): void {
    this.#call(null, error);
  }

  #call(response: Message | null, error: IPCError | null): void {
    try {
      const result: unknown = this.#callback(response, error);
      if (isThenable(result)) result.then(undefined, (thrown: unknown) => this.#threw(thrown));
    } catch (thrown) {
      this.#threw(thrown);
    }
  }

  #threw(thrown: unknown): void {
    this.#origin.handlerFailed(toError(thrown), this.#channel);
  }
}

function responseOf(origin: MessageOrigin, channel: string, requestId: string, frame: Frame): Message {
  const id = `${requestId}-response`;
  const message = new Message(
    MessageType.RESPONSE,
    origin.appId,
    channel,
    frame,
    undefined,
    id,
    -1,
    origin.now(),
    requestId,
    origin.codec,
  );
  const reader = origin.responseReader(channel);
  if (reader !== undefined) message.acceptPayload(reader);
  return message;
}
