// Every frame type of protocol version 1, its flags and its content types. docs/protocol.md lists the
// same tables, and a test compares them.

/**
 * The first byte of a body. All are in 0x80..0xBF: a continuation byte of UTF-8, so no JSON text and
 * no HTTP request can begin with one, and one port can serve all three.
 */
export const FrameType = {
  HELLO: 0x80,
  WELCOME: 0x81,
  GOODBYE: 0x82,
  PING: 0x83,
  PONG: 0x84,
  DECLARE: 0x85,
  SUBSCRIBE: 0x86,
  UNSUBSCRIBE: 0x87,
  OK: 0x88,
  ERROR: 0x89,
  REQUEST: 0x8a,
  RESPONSE: 0x8b,
  CANCEL: 0x8c,
  STREAM_DATA: 0x8d,
  STREAM_END: 0x8e,
  NOTIFICATION: 0x8f,
  PUBLISH: 0x90,
  DELIVERY: 0x91,
  ACK: 0x92,
  CREDIT: 0x93,
  RESUME: 0x94,
  LOST: 0x95,
  FRAGMENT: 0x96,
  SERVE: 0x97,
  UNSERVE: 0x98,
} as const;

export type FrameTypeName = keyof typeof FrameType;

export const FIRST_FRAME_TYPE = FrameType.HELLO;
export const LAST_FRAME_TYPE = FrameType.UNSERVE;

const NAMES = new Map<number, FrameTypeName>(
  (Object.entries(FrameType) as [FrameTypeName, number][]).map(([name, code]) => [code, name]),
);

/** For messages to people: `PUBLISH`, or `0xff` for what is no type. */
export function frameTypeName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16).padStart(2, '0')}`;
}

/** Bits of the second byte. */
export const FrameFlag = {
  /** An extension block stands between header and payload. */
  EXTENSIONS: 0x01,
  /** `id` was issued by the sender of this frame, not by its receiver (STREAM_*, CREDIT). */
  OWN_ID: 0x02,
  /** PUBLISH: keep as the channel's last value. DELIVERY: this is such a kept value. */
  RETAIN: 0x04,
  /** FRAGMENT: the first piece. */
  FIRST: 0x08,
  /** FRAGMENT: the last piece. */
  LAST: 0x10,
  /** REQUEST: the caller takes a streamed response. */
  STREAM: 0x20,
} as const;

/** What the payload bytes are: the third byte. */
export const ContentType = {
  NONE: 0,
  BYTES: 1,
  TEXT: 2,
  JSON: 3,
  MESSAGEPACK: 4,
  INT8: 16,
  UINT8_CLAMPED: 17,
  INT16: 18,
  UINT16: 19,
  INT32: 20,
  UINT32: 21,
  FLOAT32: 22,
  FLOAT64: 23,
  BIGINT64: 24,
  BIGUINT64: 25,
} as const;

/** What CREDIT grants: the third byte of a CREDIT frame. */
export const CreditKind = {
  /** Bytes that the receiver of the frame may publish on `channel`. */
  PUBLISH: 0,
  /** Bytes that the receiver of the frame may deliver on subscription `id`. */
  SUBSCRIPTION: 1,
  /** Bytes that the receiver of the frame may send on the stream of request `id`. */
  STREAM: 2,
} as const;

/** Keys of the extension block. From 0x80 on, a receiver that does not know the key must refuse the frame. */
export const ExtensionKey = {
  OFFSET: 1,
  EPOCH: 2,
  TRACE_PARENT: 3,
  TIMESTAMP: 4,
  MESSAGE_ID: 5,
  SENDER: 6,
  HEADERS: 7,
} as const;

export const FIRST_CRITICAL_EXTENSION = 0x80;
export const PROTOCOL_VERSION = 1;
/** "ISTH", the `id` of a HELLO. */
export const PROTOCOL_MAGIC = 0x49535448;
/** Bytes of the header that every frame has. */
export const HEADER_BYTES = 16;
/** Bytes of the length that precedes each body on a stream. */
export const LENGTH_BYTES = 4;
