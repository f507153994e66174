// JSON as Python's json module writes and reads it, which is more than JSON: bare NaN and Infinity,
// and integers of any size. What is kept, what is refused and why: docs/decisions/old-json-values.md.

import { ipcError, toError, type IPCError } from '../base/errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { defineOwn, INTEGER_DIGITS_MAX, PythonJsonParser, tooDeep } from './python-json-parser.ts';

/** Arrays and objects inside each other. The original reads more, but fails on writing near 490. */
export const NESTING_MAX = 400;
/** Bytes travel as an object with this one key, its value in base64. */
export const BYTES_KEY = '__bytes__';

/**
 * Integers that may lie beyond the safe range: 16 digits or more. The repetition is bounded because
 * an unbounded one overflows the stack of the regular expression on millions of digits.
 */
const LONG_INTEGER = /(?:^|[[:,\s])(?:(-?\d{16,20})(?![\d.eE])|-?\d{21})/g;

/**
 * Reads JSON text that Python wrote. Bare `NaN`, `Infinity` and `-Infinity` become those numbers, an
 * integer beyond the safe range becomes a `bigint`, and `{"__bytes__": base64}` becomes a `Uint8Array`.
 *
 * Throws `PEER_MALFORMED_FRAME` for what is no JSON, and `PEER_MALFORMED_PAYLOAD` for nesting deeper
 * than `nestingMax` or an integer of more than 4300 digits.
 */
export function parsePythonJson(text: string, nestingMax: number = NESTING_MAX): unknown {
  const value = hasUnsafeInteger(text) ? new PythonJsonParser(text, nestingMax).parse() : parseFast(text, nestingMax);
  return text.includes(BYTES_KEY) ? restoreBytes(value) : value;
}

/**
 * Writes JSON text that Python reads; the counterpart of `parsePythonJson`. Views other than bytes
 * become arrays of numbers, `undefined` becomes null; what else is no JSON goes as with `JSON.stringify`.
 *
 * Throws `USAGE_UNSERIALIZABLE` for cycles, nesting or integers beyond the limits of the reader, a
 * `toJSON` that throws, and for a function or a symbol alone.
 */
export function stringifyPythonJson(value: unknown): string {
  return stringify(value, String);
}

/** The same as JSON that everybody reads: NaN and the infinities are null, as with `JSON.stringify`. */
export function stringifyJson(value: unknown): string {
  return stringify(value, () => 'null');
}

/** Gives the text of NaN and the infinities. */
type NonFiniteWriter = (value: number) => string;

function stringify(value: unknown, nonFinite: NonFiniteWriter): string {
  if (value === undefined) return 'null';
  let text: string | undefined;
  try {
    text = isPlain(value, 0) ? JSON.stringify(value) : write(value, '', 0, nonFinite);
  } catch (thrown) {
    throw unwritable(toError(thrown).message, thrown instanceof Unwritable ? undefined : thrown);
  }
  if (text === undefined) throw unwritable(`a ${typeof value} has no JSON form`);
  return text;
}

/** A number as Python writes a float: it reads `1.0` as a float and `1` as an int. */
export function writeFloat(value: number): string {
  const digits = Object.is(value, -0) ? '-0' : String(value);
  return Number.isInteger(value) && !digits.includes('e') ? `${digits}.0` : digits;
}

function parseFast(text: string, nestingMax: number): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Bare NaN and Infinity, or no JSON at all: the other parser knows, and says where.
    return new PythonJsonParser(text, nestingMax).parse();
  }
  // JSON.parse takes any depth, but nothing that walks the value later would survive it.
  if (text.length > 2 * nestingMax) checkNesting(value, 0, nestingMax);
  return value;
}

function hasUnsafeInteger(text: string): boolean {
  LONG_INTEGER.lastIndex = 0;
  for (let match = LONG_INTEGER.exec(text); match !== null; match = LONG_INTEGER.exec(text)) {
    // More than 20 digits (or a float that begins so): the other parser looks closer.
    if (match[1] === undefined || !Number.isSafeInteger(Number(match[1]))) return true;
  }
  return false;
}

function checkNesting(value: unknown, depth: number, max: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth >= max) throw tooDeep(max);
  if (Array.isArray(value)) for (const item of value as readonly unknown[]) checkNesting(item, depth + 1, max);
  else for (const key of Object.keys(value)) checkNesting((value as Record<string, unknown>)[key], depth + 1, max);
}

/** `{"__bytes__": base64}` to bytes, everywhere in the value, in place. The depth was checked before. */
function restoreBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value as unknown[];
    for (let index = 0; index < items.length; index++) items[index] = restoreBytes(items[index]);
    return items;
  }
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  const encoded = keys.length === 1 && keys[0] === BYTES_KEY ? record[BYTES_KEY] : undefined;
  const bytes = typeof encoded === 'string' ? decodeBase64(encoded) : undefined;
  if (bytes !== undefined) return bytes;
  for (const key of keys) {
    const before = record[key];
    const after = restoreBytes(before);
    if (after !== before) defineOwn(record, key, after);
  }
  return record;
}

/** Says whether `JSON.stringify` writes the value without loss: the ordinary case. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return isExact(value);
  if (typeof value === 'bigint') return false;
  if (typeof value !== 'object' || value === null) return true;
  // Deep values, cycles among them, are left to `write`, which refuses them.
  if (depth >= NESTING_MAX || isBinary(value)) return false;
  // What toJSON will give, and what an object of a class hides, is for `write` to see.
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false;
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) if (!isPlain(item, depth + 1)) return false;
    return true;
  }
  if (value instanceof Number || value instanceof BigInt) return false;
  for (const key of Object.keys(value)) if (!isPlain((value as Record<string, unknown>)[key], depth + 1)) return false;
  return true;
}

/** Says whether `JSON.stringify` writes a number so that it is read as the same: not NaN, not -0, and no long integer. */
function isExact(value: number): boolean {
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER && (value !== 0 || 1 / value > 0);
}

/** Why a value has no form on the old wire. */
class Unwritable extends Error {}

/** JSON text of any value; `undefined` where JSON has no form for it, as with `JSON.stringify`. */
function write(given: unknown, key: string, depth: number, nonFinite: NonFiniteWriter): string | undefined {
  const value = unwrap(given, key);
  if (typeof value === 'number') return writeNumber(value, nonFinite);
  if (typeof value === 'bigint') return writeInteger(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (isBinary(value)) return writeBinary(value, nonFinite);
  if (value instanceof String || value instanceof Boolean) return JSON.stringify(value);
  if (depth >= NESTING_MAX) throw new Unwritable(`nested deeper than ${NESTING_MAX}, or it contains itself`);
  const parts: string[] = [];
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      parts.push(write(value[index] as unknown, String(index), depth + 1, nonFinite) ?? 'null');
    }
    return `[${parts.join(',')}]`;
  }
  for (const name of Object.keys(value)) {
    const text = write((value as Record<string, unknown>)[name], name, depth + 1, nonFinite);
    if (text !== undefined) parts.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${parts.join(',')}}`;
}

/** What `JSON.stringify` would write in the place of a value. */
function unwrap(value: unknown, key: string): unknown {
  // Before toJSON: a Node Buffer has one, and it is not the form we want.
  if (typeof value !== 'object' || value === null || isBinary(value)) return value;
  if (value instanceof Number || value instanceof BigInt) return value.valueOf();
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' ? (toJSON.call(value, key) as unknown) : value;
}

function writeNumber(value: number, nonFinite: NonFiniteWriter): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  return isExact(value) ? JSON.stringify(value) : writeFloat(value);
}

function writeInteger(value: bigint): string {
  const text = value.toString();
  const digits = value < 0n ? text.length - 1 : text.length;
  if (digits > INTEGER_DIGITS_MAX)
    throw new Unwritable(`an integer of ${digits} digits; ${INTEGER_DIGITS_MAX} are the most`);
  return text;
}

function isBinary(value: object): value is ArrayBufferView | ArrayBuffer {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function writeBinary(value: ArrayBufferView | ArrayBuffer, nonFinite: NonFiniteWriter): string {
  if (value instanceof ArrayBuffer) return writeBytes(new Uint8Array(value));
  if (value instanceof Uint8Array) return writeBytes(value);
  if (value instanceof DataView) return writeBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  return `[${Array.from(value as unknown as Iterable<number | bigint>, (item) => write(item, '', 0, nonFinite)).join(',')}]`;
}

function writeBytes(bytes: Uint8Array): string {
  return `{"${BYTES_KEY}":"${encodeBase64(bytes)}"}`;
}

function unwritable(what: string, cause?: unknown): IPCError {
  return ipcError('USAGE_UNSERIALIZABLE', `the payload cannot be written as JSON: ${what}`, { cause });
}
