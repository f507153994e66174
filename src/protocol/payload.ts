// value <-> payload bytes with a content type. Bytes travel as bytes, typed arrays as what they are
// (little-endian elements), text as UTF-8, everything else as JSON unless another codec is asked for.

import { ipcError, toError } from '../base/errors.ts';
import { invalidOption } from '../base/options.ts';
import { ContentType } from './frame-types.ts';

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export interface EncodedPayload {
  readonly content: number;
  readonly bytes: Uint8Array;
}

/**
 * An encoding that is brought along, such as MessagePack, for what is neither bytes nor text nor a typed
 * array. Both ends have to know it; see docs/encodings.md.
 *
 * @example
 * ```ts
 * import { decode, encode } from '@msgpack/msgpack';
 * const messagePack: PayloadCodec = { content: ContentType.MESSAGEPACK, encode, decode };
 * ```
 */
export interface PayloadCodec {
  /** What the bytes are called on the wire: `ContentType.MESSAGEPACK`, `ContentType.JSON`, or 128 to 255 for one of your own. */
  readonly content: number;
  /** What it throws is thrown as `USAGE_UNSERIALIZABLE`. */
  encode(value: unknown): Uint8Array;
  /** What it throws is thrown as `PEER_MALFORMED_PAYLOAD`. */
  decode(bytes: Uint8Array): unknown;
}

const OWN_CONTENT_MIN = 128;
const OWN_CONTENT_MAX = 255;

/** The option `encoding`. */
export function codecOption(codec: unknown): PayloadCodec | undefined {
  if (codec === undefined) return undefined;
  const { content, encode, decode } = (codec ?? {}) as Partial<PayloadCodec>;
  if (typeof content !== 'number' || typeof encode !== 'function' || typeof decode !== 'function') {
    throw invalidOption('encoding', codec, 'an object with content, encode and decode');
  }
  const named = content === ContentType.MESSAGEPACK || content === ContentType.JSON;
  if (!named && !(Number.isInteger(content) && content >= OWN_CONTENT_MIN && content <= OWN_CONTENT_MAX)) {
    const own = `${OWN_CONTENT_MIN} to ${OWN_CONTENT_MAX}`;
    throw invalidOption('encoding.content', content, `${ContentType.MESSAGEPACK}, ${ContentType.JSON} or ${own}`);
  }
  return codec as PayloadCodec;
}

type TypedArray = Exclude<ArrayBufferView, DataView>;
type TypedArrayConstructor = { new (buffer: ArrayBuffer): TypedArray; readonly BYTES_PER_ELEMENT: number };

const ARRAYS: readonly (readonly [number, TypedArrayConstructor])[] = [
  [ContentType.INT8, Int8Array],
  [ContentType.UINT8_CLAMPED, Uint8ClampedArray],
  [ContentType.INT16, Int16Array],
  [ContentType.UINT16, Uint16Array],
  [ContentType.INT32, Int32Array],
  [ContentType.UINT32, Uint32Array],
  [ContentType.FLOAT32, Float32Array],
  [ContentType.FLOAT64, Float64Array],
  [ContentType.BIGINT64, BigInt64Array],
  [ContentType.BIGUINT64, BigUint64Array],
];

export function encodePayload(value: unknown, codec?: PayloadCodec): EncodedPayload {
  if (value instanceof Uint8Array && !(value instanceof Uint8ClampedArray))
    return { content: ContentType.BYTES, bytes: value };
  if (typeof value === 'string') return { content: ContentType.TEXT, bytes: encoder.encode(value) };
  if (value === undefined) return { content: ContentType.NONE, bytes: EMPTY };
  if (ArrayBuffer.isView(value)) return encodeView(value);
  if (value instanceof ArrayBuffer) return { content: ContentType.BYTES, bytes: new Uint8Array(value) };
  if (codec !== undefined) return { content: codec.content, bytes: encodeWith(codec, value) };
  return { content: ContentType.JSON, bytes: encoder.encode(encodeJson(value)) };
}

export function decodePayload(content: number, bytes: Uint8Array, codec?: PayloadCodec): unknown {
  // First, so that a codec can take the place of JSON as it is built in.
  if (codec !== undefined && codec.content === content) return decodeWith(codec, bytes);
  switch (content) {
    case ContentType.JSON:
      return decodeJson(bytes);
    case ContentType.BYTES:
      return bytes;
    case ContentType.TEXT:
      return decodeText(bytes);
    case ContentType.NONE:
      return undefined;
    default:
      break;
  }
  const found = ARRAYS.find(([code]) => code === content);
  if (found === undefined) throw malformed(content, `content type ${content} is not known here`);
  return decodeArray(found[1], content, bytes);
}

function encodeView(view: ArrayBufferView): EncodedPayload {
  const bytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  const found = ARRAYS.find(([, constructor]) => view instanceof constructor);
  return { content: found === undefined ? ContentType.BYTES : found[0], bytes };
}

function decodeArray(constructor: TypedArrayConstructor, content: number, bytes: Uint8Array): TypedArray {
  if (bytes.byteLength % constructor.BYTES_PER_ELEMENT !== 0) {
    throw malformed(content, `${bytes.byteLength} bytes are no multiple of ${constructor.BYTES_PER_ELEMENT}`);
  }
  // A copy: elements must be aligned, and the bytes stand anywhere in what was received.
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return new constructor(copy.buffer);
}

function decodeWith(codec: PayloadCodec, bytes: Uint8Array): unknown {
  try {
    return codec.decode(bytes);
  } catch (thrown) {
    throw malformed(codec.content, toError(thrown).message, thrown);
  }
}

function encodeWith(codec: PayloadCodec, value: unknown): Uint8Array {
  try {
    return codec.encode(value);
  } catch (thrown) {
    throw ipcError('USAGE_UNSERIALIZABLE', `the payload cannot be encoded: ${toError(thrown).message}`, {
      cause: thrown,
    });
  }
}

/** JSON text of a value; what JSON would silently drop or refuse is a clear error. */
export function encodeJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (thrown) {
    throw ipcError('USAGE_UNSERIALIZABLE', `the payload cannot be written as JSON: ${toError(thrown).message}`, {
      cause: thrown,
    });
  }
  if (text === undefined) {
    throw ipcError('USAGE_UNSERIALIZABLE', `a ${typeof value} cannot be written as JSON`);
  }
  return text;
}

function decodeJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown;
  } catch (thrown) {
    throw malformed(ContentType.JSON, toError(thrown).message, thrown);
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (thrown) {
    throw malformed(ContentType.TEXT, 'not UTF-8', thrown);
  }
}

function malformed(content: number, what: string, cause?: unknown) {
  return ipcError('PEER_MALFORMED_PAYLOAD', `payload of content type ${content}: ${what}`, {
    cause,
    details: { content },
  });
}
