// One publish on its way to its receivers: encoded once for each wire format, and only for the formats
// that somebody needs. Native subscribers are sent the very bytes that were received, where that can be.

import { ipcError, toError } from '../base/errors.ts';
import { decodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { TO_OLD } from '../protocol/old-payload.ts';
import { writeHeader } from '../protocol/codec.ts';
import { ContentType, FrameFlag, FrameType, HEADER_BYTES, LENGTH_BYTES } from '../protocol/frame-types.ts';
import { encodeLegacy } from '../protocol/legacy-json.ts';
import type { Message } from '../protocol/messages.ts';
import type { FrameWriter } from '../session/frame-writer.ts';
import type { Deliverable, Topic } from './deliverable.ts';
import { Run } from './run.ts';

/** Bytes of a frame before its payload. */
const FRAMING_BYTES = LENGTH_BYTES + HEADER_BYTES;

/** Where ids and times come from, for those who need them. */
export interface Labels {
  /** Text that no other message has. */
  messageId(): string;
  /** Milliseconds since the epoch. */
  now(): number;
  readonly codec: PayloadCodec | undefined;
  /** Takes a fault that nobody can be told of. */
  report(error: Error, peer: undefined): void;
}

/** What a rewritten frame is a delivery for is told by a subscription id, which is never one of these. */
const AS_RECEIVED = 0;
const NOT_A_FRAME = -1;

export class Publication implements Deliverable {
  readonly topic: Topic;
  readonly content: number;
  readonly bytes: number;
  /** This is a kept value, for a subscription that began after it was said. */
  readonly retained: boolean;
  readonly #labels: Labels;
  #source: Uint8Array;
  #start: number;
  #end: number;
  #payload: Uint8Array | undefined;
  /** The subscription that the frame around the payload is a DELIVERY for. */
  #deliveryId: number;
  /** Null: the old protocol has no form for this payload. */
  #legacyBody: Uint8Array | null | undefined;
  /** The message of an old client: others of its kind get it as it was, with its id. */
  legacySource: Message | undefined;

  /** The payload is `source[start, end)`. With `framed`, the PUBLISH that it came in stands around it and is ours. */
  constructor(
    topic: Topic,
    content: number,
    source: Uint8Array,
    start: number,
    end: number,
    framed: boolean,
    labels: Labels,
    retained = false,
  ) {
    this.topic = topic;
    this.content = content;
    this.bytes = end - start + HEADER_BYTES;
    this.retained = retained;
    this.#labels = labels;
    this.#source = source;
    this.#start = start;
    this.#end = end;
    this.#payload = undefined;
    this.#deliveryId = framed ? AS_RECEIVED : NOT_A_FRAME;
    this.#legacyBody = undefined;
    this.legacySource = undefined;
  }

  get count(): number {
    return 1;
  }

  get payload(): Uint8Array {
    this.#payload ??= this.#source.subarray(this.#start, this.#end);
    return this.#payload;
  }

  /** The memory that the payload stands in. */
  get buffer(): ArrayBufferLike {
    return this.#source.buffer;
  }

  deliver(writer: FrameWriter, id: number): void {
    if (!writer.cutting && this.#rewritten(id)) {
      writer.lend(this.#source, this.#start - FRAMING_BYTES, this.#end);
      return;
    }
    const flags = this.retained ? FrameFlag.RETAIN : 0;
    writer.frame(FrameType.DELIVERY, flags, this.content, id, this.topic.number, 0, this.payload);
  }

  /** Stands in one piece with others that wait for the same subscription; false when it does not. */
  join(run: Run): boolean {
    return this.#rewritten(run.id) && run.extend(this.topic, this.#source, this.#start - FRAMING_BYTES, this.#end);
  }

  /** Begins such a piece; undefined when the frame is not to be had. */
  asRun(id: number): Run | undefined {
    if (!this.#rewritten(id)) return undefined;
    return new Run(this.topic, id, this.#source, this.#start - FRAMING_BYTES, this.#end);
  }

  /** The same as a kept value. */
  asRetained(): Publication {
    const kept = new Publication(
      this.topic,
      this.content,
      this.#source,
      this.#start,
      this.#end,
      false,
      this.#labels,
      true,
    );
    kept.legacySource = this.legacySource;
    return kept;
  }

  /**
   * The JSON body for subscribers on the old protocol; null where it has no form for this payload, such as
   * bytes that are not what their content type says. That is reported, once for all of them.
   */
  get legacyBody(): Uint8Array | null {
    if (this.#legacyBody !== undefined) return this.#legacyBody;
    try {
      this.#legacyBody = this.#encodeLegacy();
    } catch (thrown) {
      this.#legacyBody = null;
      const cause = toError(thrown);
      const what = `a message on ${this.topic.channelId} cannot be told to old clients: ${cause.message}`;
      const { appId, channelId } = this.topic;
      const details = { appId, channelId, content: this.content };
      this.#labels.report(ipcError('PEER_MALFORMED_PAYLOAD', what, { cause, details }), undefined);
    }
    return this.#legacyBody;
  }

  #encodeLegacy(): Uint8Array {
    const source = this.legacySource;
    return encodeLegacy({
      messageId: source?.messageId ?? this.#labels.messageId(),
      appId: this.topic.appId,
      channelId: this.topic.channelId,
      messageType: 'publish',
      payload: source === undefined ? legacyPayload(this.content, this.payload, this.#labels.codec) : source.payload,
      timestamp: source?.timestamp ?? this.#labels.now() / 1000,
      replyTo: null,
    });
  }

  /** Makes the payload independent of the larger buffer that it arrived in. */
  detach(): void {
    if ((this.#end - this.#start) * 2 >= this.#source.buffer.byteLength) return;
    // Not `slice`: on a Buffer that is a view.
    this.#source = Uint8Array.prototype.slice.call(this.#source, this.#start, this.#end);
    this.#start = 0;
    this.#end = this.#source.length;
    this.#payload = this.#source;
    this.#deliveryId = NOT_A_FRAME;
  }

  /**
   * Makes the PUBLISH that was received the DELIVERY for this subscription, where it stands: both are framed
   * alike, so that a subscriber can be sent what was received, in one piece with what stands before and behind
   * it. Another subscription may have been given the frame, and it is not written yet: then it stays.
   */
  #rewritten(id: number): boolean {
    if (this.#deliveryId === id) return true;
    if (this.#deliveryId !== AS_RECEIVED) return false;
    writeHeader(
      this.#source,
      this.#start - HEADER_BYTES,
      FrameType.DELIVERY,
      0,
      this.content,
      id,
      this.topic.number,
      0,
    );
    this.#deliveryId = id;
    return true;
  }
}

/** A payload as the old protocol can carry it; the JSON encoder deals with bytes. */
export function legacyPayload(content: number, payload: Uint8Array, codec: PayloadCodec | undefined): unknown {
  if (content === ContentType.NONE) return null;
  if (content === ContentType.JSON) return TO_OLD.decode(payload);
  return decodePayload(content, payload, codec);
}
