// The old JSON protocol: body bytes <-> messages with their seven keys. The length in front of a body
// is the framing's business; ids and times come in as arguments (docs/interop-python.md).

import { ipcError, type IPCError } from '../base/errors.ts';
import { MessageType } from './messages.ts';
import { NESTING_MAX, parsePythonJson, stringifyPythonJson, writeFloat } from './python-json.ts';

export const MESSAGE_TYPES: readonly MessageType[] = Object.values(MessageType);

/** One message of the old protocol. */
export interface LegacyMessage {
  readonly messageId: string;
  readonly appId: string;
  readonly channelId: string;
  readonly messageType: MessageType;
  /** Any JSON value, and besides: `bigint`, `NaN`, the infinities and `Uint8Array`. */
  readonly payload: unknown;
  /** Seconds since the epoch, with a fraction. */
  readonly timestamp: number;
  /** The id of the request that this answers. */
  readonly replyTo: string | null;
}

/** The longest text that the engine holds; a body of more bytes is not even looked at. */
const TEXT_LENGTH_MAX = 0x1fffffe8;
const REQUIRED = ['message_id', 'app_id', 'channel_id', 'message_type', 'payload', 'timestamp'] as const;
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, 'reply_to']);

const encoder = new TextEncoder();
// A byte order mark is no JSON to the original either.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one body of the old protocol.
 *
 * Throws `PEER_MALFORMED_FRAME` where the bytes are no such message, and `PEER_MALFORMED_PAYLOAD` where
 * the payload is nested too deep or holds an integer of too many digits; nothing else. The text says
 * what was wrong, what was expected, and where.
 *
 * @example
 * ```ts
 * const { channelId, payload } = decodeLegacy(body);
 * ```
 */
export function decodeLegacy(bytes: Uint8Array): LegacyMessage {
  const value = parsePythonJson(decodeText(bytes), NESTING_MAX + 1);
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw malformed(`expected an object, got ${kindOf(value)}`);
  }
  const record = value as Record<string, unknown>;
  for (const key of REQUIRED) if (!Object.hasOwn(record, key)) throw malformed(`key '${key}' is missing`, key);
  for (const key of Object.keys(record)) {
    if (!KNOWN.has(key)) throw malformed(`key '${clip(key)}' is not one of the seven`, clip(key));
  }
  return {
    messageId: text(record, 'message_id'),
    appId: text(record, 'app_id'),
    channelId: text(record, 'channel_id'),
    messageType: messageType(record['message_type']),
    payload: record['payload'],
    timestamp: seconds(record['timestamp']),
    // The original reads a missing reply_to as None.
    replyTo: (record['reply_to'] ?? null) === null ? null : text(record, 'reply_to'),
  };
}

/**
 * Writes one body of the old protocol, with exactly its seven keys and without the length in front.
 * The same bytes serve every subscriber.
 *
 * Throws `USAGE_UNSERIALIZABLE` where the payload or the timestamp has no form that the original reads.
 *
 * @example
 * ```ts
 * const body = encodeLegacy({ ...message, payload: { status: 'connected', connection_id: id } });
 * ```
 */
export function encodeLegacy(message: LegacyMessage): Uint8Array {
  return encoder.encode(
    `{"message_id":${JSON.stringify(message.messageId)}` +
      `,"app_id":${JSON.stringify(message.appId)}` +
      `,"channel_id":${JSON.stringify(message.channelId)}` +
      `,"message_type":"${message.messageType}"` +
      `,"payload":${stringifyPythonJson(message.payload)}` +
      `,"timestamp":${writeSeconds(message.timestamp)}` +
      `,"reply_to":${JSON.stringify(message.replyTo)}}`,
  );
}

function decodeText(bytes: Uint8Array): string {
  if (bytes.length > TEXT_LENGTH_MAX)
    throw malformed(`a body of ${bytes.length} bytes; ${TEXT_LENGTH_MAX} are the most`);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw ipcError('PEER_MALFORMED_FRAME', `a body of ${bytes.length} bytes is not UTF-8`, { cause });
  }
}

function text(record: Readonly<Record<string, unknown>>, key: string): string {
  const value = record[key];
  if (typeof value !== 'string') throw wrongType(key, 'a text', value);
  return value;
}

function messageType(value: unknown): MessageType {
  const found = MESSAGE_TYPES.find((type) => type === value);
  if (found === undefined) throw wrongType('message_type', `one of ${MESSAGE_TYPES.join(', ')}`, value);
  return found;
}

function seconds(value: unknown): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw wrongType('timestamp', 'a finite number', value);
  return number;
}

function writeSeconds(value: number): string {
  if (!Number.isFinite(value)) {
    throw ipcError('USAGE_UNSERIALIZABLE', `timestamp: expected a finite number of seconds, got ${value}`);
  }
  return writeFloat(value);
}

function wrongType(key: string, expected: string, value: unknown): IPCError {
  return malformed(`key '${key}': expected ${expected}, got ${kindOf(value)}`, key);
}

function malformed(what: string, key?: string): IPCError {
  return ipcError(
    'PEER_MALFORMED_FRAME',
    `no message of the old protocol: ${what}`,
    key === undefined ? {} : { details: { key } },
  );
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `'${clip(value)}'`;
  if (typeof value === 'object') return value instanceof Uint8Array ? 'bytes' : 'an object';
  if (typeof value === 'bigint') return 'a large integer';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value;
}

function clip(value: string): string {
  return value.length > 40 ? `${value.slice(0, 40)}…` : value;
}
