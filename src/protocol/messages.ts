// A message as handlers see it. Nothing is decoded, made or copied before somebody asks: the payload is
// read from its frame at the first look, the id is put together from two parts that cost nothing.

import { ipcError } from '../base/errors.ts';
import type { Frame } from './codec.ts';
import { ContentType, ExtensionKey, FrameFlag } from './frame-types.ts';
import { decodePayload, encodePayload, type PayloadCodec } from './payload.ts';

/** What a message wants, under the names of the original. */
export const MessageType = {
  REQUEST: 'request',
  RESPONSE: 'response',
  NOTIFICATION: 'notification',
  SUBSCRIBE: 'subscribe',
  UNSUBSCRIBE: 'unsubscribe',
  PUBLISH: 'publish',
} as const;
export type MessageType = (typeof MessageType)[keyof typeof MessageType];

/** The seven keys of a message as the original package writes it. */
export interface MessageDict<T = unknown> {
  /** Its id. */
  readonly message_id: string;
  /** The application. */
  readonly app_id: string;
  /** The channel. */
  readonly channel_id: string;
  /** What it wants. */
  readonly message_type: MessageType;
  /** What it carries. */
  readonly payload: T;
  /** Seconds since the epoch, with a fraction. */
  readonly timestamp: number;
  /** The id of the request that it answers. */
  readonly reply_to: string | null;
}

/** What {@link Message.create} takes. */
export interface MessageFields<T = unknown> {
  /** What it wants. */
  readonly messageType: MessageType;
  /** The application. */
  readonly appId: string;
  /** The channel. */
  readonly channelId: string;
  /** What it carries. Default undefined. */
  readonly payload?: T;
  /** Default: empty; who sends the message gives it one. */
  readonly messageId?: string;
  /** Seconds since the epoch. Default 0: who sends the message fills it in. */
  readonly timestamp?: number;
  /** Default null. */
  readonly replyTo?: string | null;
}

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();

/**
 * One message.
 *
 * @example
 * ```ts
 * server.getApplication('shop').createChannel('sum').setHandler('request', (message) => {
 *   const numbers = message.payload as number[];
 *   return numbers.reduce((a, b) => a + b, 0);
 * });
 * ```
 */
export class Message<T = unknown> {
  /** What it wants. */
  readonly messageType: MessageType;
  /** The application. */
  readonly appId: string;
  /** The channel. */
  readonly channelId: string;
  /** The id of the request that this answers. */
  readonly replyTo: string | null;
  readonly #frame: Frame | undefined;
  readonly #codec: PayloadCodec | undefined;
  readonly #origin: string;
  readonly #number: number;
  readonly #timeMs: number;
  readonly #start: number;
  readonly #end: number;
  #value: unknown;
  #decoded: boolean;

  /**
   * For the inner layers, which make one for each frame; programs use {@link Message.create}. The id is
   * `origin` with `number` behind it, or `origin` alone when `number` is negative. `timeMs` is in
   * milliseconds since the epoch. The payload is `[start, end)` of the frame's memory: its own, unless the
   * frame stands for others too that are alike.
   */
  constructor(
    messageType: MessageType,
    appId: string,
    channelId: string,
    frame: Frame | undefined,
    value: unknown,
    origin: string,
    number: number,
    timeMs: number,
    replyTo: string | null,
    codec: PayloadCodec | undefined,
    start = frame?.start ?? 0,
    end = frame?.end ?? 0,
  ) {
    this.messageType = messageType;
    this.appId = appId;
    this.channelId = channelId;
    this.replyTo = replyTo;
    this.#frame = frame;
    this.#codec = codec;
    this.#origin = origin;
    this.#number = number;
    this.#timeMs = timeMs;
    this.#value = value;
    this.#decoded = frame === undefined;
    this.#start = start;
    this.#end = end;
  }

  /** Makes a message from its fields. */
  static create<T>(fields: MessageFields<T>): Message<T> {
    return new Message<T>(
      fields.messageType,
      fields.appId,
      fields.channelId,
      undefined,
      fields.payload,
      fields.messageId ?? '',
      -1,
      (fields.timestamp ?? 0) * 1000,
      fields.replyTo ?? null,
      undefined,
    );
  }

  /** Reads what `toDict` gives. Throws `PEER_MALFORMED_PAYLOAD` naming the key that is wrong. */
  static fromDict(dict: unknown): Message {
    const record = asRecord(dict);
    const type = Object.values(MessageType).find((one) => one === record['message_type']);
    if (type === undefined) throw wrongKey('message_type', `one of ${Object.values(MessageType).join(', ')}`);
    const replyTo = record['reply_to'] ?? null;
    if (replyTo !== null && typeof replyTo !== 'string') throw wrongKey('reply_to', 'a text or null');
    const timestamp = record['timestamp'];
    if (typeof timestamp !== 'number' || !Number.isFinite(timestamp))
      throw wrongKey('timestamp', 'a number of seconds');
    return Message.create({
      messageType: type,
      appId: textOf(record, 'app_id'),
      channelId: textOf(record, 'channel_id'),
      payload: record['payload'],
      messageId: textOf(record, 'message_id'),
      timestamp,
      replyTo,
    });
  }

  /** Reads what `toJson` gives. Throws `PEER_MALFORMED_PAYLOAD`. */
  static fromJson(text: string): Message {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (thrown) {
      throw ipcError('PEER_MALFORMED_PAYLOAD', 'the message is not JSON', { cause: thrown });
    }
    return Message.fromDict(value);
  }

  /** Unique among the messages of one connection; the same text at every look. */
  get messageId(): string {
    const given = this.#text(ExtensionKey.MESSAGE_ID);
    if (given !== undefined) return given;
    return this.#number < 0 ? this.#origin : `${this.#origin}-${this.#number}`;
  }

  /** The value that was sent; decoded at the first look. Throws `PEER_MALFORMED_PAYLOAD` when it does not decode. */
  get payload(): T {
    if (!this.#decoded) {
      const frame = this.#frame as Frame;
      this.#value = decodePayload(frame.content, frame.buffer.subarray(this.#start, this.#end), this.#codec);
      this.#decoded = true;
    }
    return this.#value as T;
  }

  /** Puts what `read` makes of the payload in its place; throws what `read` throws. For the inner layers: a schema has its say here. */
  acceptPayload(read: (payload: unknown) => unknown): void {
    this.#value = read(this.payload);
  }

  /** The payload as bytes, not decoded: a view, valid as long as the message is. */
  get bytes(): Uint8Array {
    if (this.#frame !== undefined) return this.#frame.buffer.subarray(this.#start, this.#end);
    return this.#value === undefined ? EMPTY : encodePayload(this.#value, this.#codec).bytes;
  }

  /** What `bytes` are: see `ContentType`. */
  get contentType(): number {
    if (this.#frame !== undefined) return this.#frame.content;
    return this.#value === undefined ? ContentType.NONE : encodePayload(this.#value, this.#codec).content;
  }

  /** Seconds since the epoch: when it was sent where the sender said so, else when it arrived. */
  get timestamp(): number {
    const given = this.#frame?.extensions?.get(ExtensionKey.TIMESTAMP);
    if (given !== undefined && given.length === 8) {
      return new DataView(given.buffer, given.byteOffset, 8).getFloat64(0);
    }
    return this.#timeMs / 1000;
  }

  /** True when this is the kept last value of its channel, sent before the subscription began. */
  get retained(): boolean {
    return this.#frame !== undefined && (this.#frame.flags & FrameFlag.RETAIN) !== 0;
  }

  /** W3C Trace Context `traceparent`, when the sender gave one. */
  get traceParent(): string | undefined {
    return this.#text(ExtensionKey.TRACE_PARENT);
  }

  /** Connection id of the sender, when the server tells it. */
  get sender(): string | undefined {
    return this.#text(ExtensionKey.SENDER);
  }

  /** Headers that the sender gave. Throws `PEER_MALFORMED_PAYLOAD` when they are no JSON object. */
  get headers(): Readonly<Record<string, string>> | undefined {
    const text = this.#text(ExtensionKey.HEADERS);
    if (text === undefined) return undefined;
    try {
      return asRecord(JSON.parse(text)) as Record<string, string>;
    } catch (thrown) {
      throw ipcError('PEER_MALFORMED_PAYLOAD', 'the headers are no JSON object', { cause: thrown });
    }
  }

  /** The answer to this message. `timestamp` is in seconds; default: that of this message. */
  createResponse<R>(payload: R, timestamp = this.timestamp): Message<R> {
    return Message.create({
      messageType: MessageType.RESPONSE,
      appId: this.appId,
      channelId: this.channelId,
      payload,
      messageId: `${this.messageId}-response`,
      timestamp,
      replyTo: this.messageId,
    });
  }

  /** The seven keys as the original package names them. */
  toDict(): MessageDict<T> {
    return {
      message_id: this.messageId,
      app_id: this.appId,
      channel_id: this.channelId,
      message_type: this.messageType,
      payload: this.payload,
      timestamp: this.timestamp,
      reply_to: this.replyTo,
    };
  }

  /** What `JSON.stringify` takes: `toDict()`. */
  toJSON(): MessageDict<T> {
    return this.toDict();
  }

  /** `toDict()` as JSON text. */
  toJson(): string {
    return JSON.stringify(this.toDict());
  }

  #text(key: number): string | undefined {
    const value = this.#frame?.extensions?.get(key);
    return value === undefined ? undefined : decoder.decode(value);
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw ipcError('PEER_MALFORMED_PAYLOAD', 'expected a JSON object');
  }
  return value as Record<string, unknown>;
}

function textOf(record: Readonly<Record<string, unknown>>, key: string): string {
  const value = record[key];
  if (typeof value !== 'string') throw wrongKey(key, 'a text');
  return value;
}

function wrongKey(key: string, expected: string) {
  return ipcError('PEER_MALFORMED_PAYLOAD', `message key ${key}: expected ${expected}`, { details: { key } });
}
