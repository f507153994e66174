// One publish on its way to its receivers: encoded once for each wire format, and only for the formats
// that somebody needs.

import { ipcError, toError } from '../base/errors.ts';
import { decodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { TO_OLD } from '../protocol/old-payload.ts';
import { ContentType, HEADER_BYTES } from '../protocol/frame-types.ts';
import { encodeLegacy } from '../protocol/legacy-json.ts';
import type { Message } from '../protocol/messages.ts';

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

export class Publication {
  readonly channelNumber: number;
  readonly channelName: string;
  readonly content: number;
  readonly bytes: number;
  /** This is a kept value, for a subscription that began after it was said. */
  readonly retained: boolean;
  readonly #appId: string;
  readonly #labels: Labels;
  #payload: Uint8Array;
  #detached = false;
  /** Null: the old protocol has no form for this payload. */
  #legacyBody: Uint8Array | null | undefined;
  /** The message of an old client: others of its kind get it as it was, with its id. */
  legacySource: Message | undefined;

  constructor(
    channelNumber: number,
    channelName: string,
    content: number,
    payload: Uint8Array,
    appId: string,
    labels: Labels,
    retained = false,
  ) {
    this.channelNumber = channelNumber;
    this.channelName = channelName;
    this.content = content;
    this.bytes = payload.length + HEADER_BYTES;
    this.#payload = payload;
    this.#appId = appId;
    this.#labels = labels;
    this.legacySource = undefined;
    this.retained = retained;
  }

  get payload(): Uint8Array {
    return this.#payload;
  }

  /** The same as a kept value. */
  asRetained(): Publication {
    const { channelNumber, channelName, content } = this;
    const kept = new Publication(channelNumber, channelName, content, this.#payload, this.#appId, this.#labels, true);
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
      const what = `a message on ${this.channelName} cannot be told to old clients: ${cause.message}`;
      const details = { appId: this.#appId, channelId: this.channelName, content: this.content };
      this.#labels.report(ipcError('PEER_MALFORMED_PAYLOAD', what, { cause, details }), undefined);
    }
    return this.#legacyBody;
  }

  #encodeLegacy(): Uint8Array {
    const source = this.legacySource;
    return encodeLegacy({
      messageId: source?.messageId ?? this.#labels.messageId(),
      appId: this.#appId,
      channelId: this.channelName,
      messageType: 'publish',
      payload: source === undefined ? legacyPayload(this.content, this.#payload, this.#labels.codec) : source.payload,
      timestamp: source?.timestamp ?? this.#labels.now() / 1000,
      replyTo: null,
    });
  }

  /** Makes the payload independent of the larger buffer that it arrived in. */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    if (this.#payload.length * 2 >= this.#payload.buffer.byteLength) return;
    // Not `slice`: on a Buffer that is a view.
    this.#payload = Uint8Array.prototype.slice.call(this.#payload);
  }
}

/** A payload as the old protocol can carry it; the JSON encoder deals with bytes. */
export function legacyPayload(content: number, payload: Uint8Array, codec: PayloadCodec | undefined): unknown {
  if (content === ContentType.NONE) return null;
  if (content === ContentType.JSON) return TO_OLD.decode(payload);
  return decodePayload(content, payload, codec);
}
