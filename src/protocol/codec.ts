// body <-> Frame. Every frame has the same 16-byte header (docs/protocol.md, "The header"), so that
// reading and writing are one function each; the payload stays bytes.

import { ipcError } from '../base/errors.ts';
import {
  FIRST_CRITICAL_EXTENSION,
  FIRST_FRAME_TYPE,
  FrameFlag,
  frameTypeName,
  HEADER_BYTES,
  LAST_FRAME_TYPE,
} from './frame-types.ts';

const EMPTY = new Uint8Array(0);

/** Values of the extension block by key; raw bytes, read by who knows the key. */
export type Extensions = ReadonlyMap<number, Uint8Array>;

/** One frame. A single class with all fields always set, so that V8 keeps one hidden class on the hot path. */
export class Frame {
  readonly type: number;
  readonly flags: number;
  readonly content: number;
  readonly id: number;
  readonly channel: number;
  readonly value: number;
  readonly extensions: Extensions | undefined;
  /** What was received; the payload is `buffer[start, end)`. */
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;

  constructor(
    type: number,
    flags: number,
    content: number,
    id: number,
    channel: number,
    value: number,
    extensions: Extensions | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
  ) {
    this.type = type;
    this.flags = flags;
    this.content = content;
    this.id = id;
    this.channel = channel;
    this.value = value;
    this.extensions = extensions;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  get payloadBytes(): number {
    return this.end - this.start;
  }

  /** The payload as a view into what was received. Made when asked for: most forwarded frames never are. */
  get payload(): Uint8Array {
    return this.buffer.subarray(this.start, this.end);
  }
}

const CRITICAL_KNOWN: ReadonlySet<number> = new Set();

/** Reads the body `buffer[start, end)`. Throws `PEER_*` errors only. */
export function decodeFrame(buffer: Uint8Array, start: number, end: number): Frame {
  if (end - start < HEADER_BYTES) {
    throw ipcError(
      'PEER_MALFORMED_FRAME',
      `a body of ${end - start} bytes is shorter than the header of ${HEADER_BYTES}`,
    );
  }
  const type = buffer[start] as number;
  if (type < FIRST_FRAME_TYPE || type > LAST_FRAME_TYPE) {
    throw ipcError('PEER_UNKNOWN_FRAME', `frame type ${frameTypeName(type)} is not known in this version`, {
      details: { type },
    });
  }
  const flags = buffer[start + 1] as number;
  let payloadStart = start + HEADER_BYTES;
  let extensions: Extensions | undefined;
  if ((flags & FrameFlag.EXTENSIONS) !== 0) {
    const block = readExtensions(buffer, payloadStart, end, type);
    extensions = block.extensions;
    payloadStart = block.end;
  }
  return new Frame(
    type,
    flags,
    buffer[start + 2] as number,
    readUint32(buffer, start + 4),
    readUint32(buffer, start + 8),
    readUint32(buffer, start + 12),
    extensions,
    buffer,
    payloadStart,
    end,
  );
}

/** Writes the header at `at`. */
export function writeHeader(
  into: Uint8Array,
  at: number,
  type: number,
  flags: number,
  content: number,
  id: number,
  channel: number,
  value: number,
): void {
  into[at] = type;
  into[at + 1] = flags;
  into[at + 2] = content;
  into[at + 3] = 0;
  writeUint32(into, at + 4, id);
  writeUint32(into, at + 8, channel);
  writeUint32(into, at + 12, value);
}

/** Gives a whole body as fresh bytes: for the handshake and for tests; the hot path uses `FrameWriter`. */
export function encodeFrame(fields: {
  readonly type: number;
  readonly flags?: number;
  readonly content?: number;
  readonly id?: number;
  readonly channel?: number;
  readonly value?: number;
  readonly extensions?: Extensions | undefined;
  readonly payload?: Uint8Array;
}): Uint8Array {
  const block =
    fields.extensions === undefined || fields.extensions.size === 0 ? EMPTY : encodeExtensions(fields.extensions);
  const payload = fields.payload ?? EMPTY;
  const body = new Uint8Array(HEADER_BYTES + block.length + payload.length);
  const flags = (fields.flags ?? 0) | (block.length > 0 ? FrameFlag.EXTENSIONS : 0);
  writeHeader(body, 0, fields.type, flags, fields.content ?? 0, fields.id ?? 0, fields.channel ?? 0, fields.value ?? 0);
  body.set(block, HEADER_BYTES);
  body.set(payload, HEADER_BYTES + block.length);
  return body;
}

/** u16 length of the block, then entries of { u8 key, u16 length, bytes }. */
export function encodeExtensions(extensions: Extensions): Uint8Array {
  let length = 0;
  for (const value of extensions.values()) length += 3 + value.length;
  if (length > 0xffff) {
    throw ipcError('USAGE_INVALID_OPTION', `extensions of ${length} bytes; 65535 are the most`, {
      details: { bytes: length },
    });
  }
  const block = new Uint8Array(2 + length);
  block[0] = length >>> 8;
  block[1] = length & 0xff;
  let at = 2;
  for (const [key, value] of extensions) {
    block[at] = key;
    block[at + 1] = value.length >>> 8;
    block[at + 2] = value.length & 0xff;
    block.set(value, at + 3);
    at += 3 + value.length;
  }
  return block;
}

function readExtensions(
  buffer: Uint8Array,
  at: number,
  end: number,
  type: number,
): { extensions: Extensions; end: number } {
  const malformed = (what: string) =>
    ipcError('PEER_MALFORMED_FRAME', `${frameTypeName(type)}: ${what}`, { details: { type } });
  if (end - at < 2) throw malformed('the extension block has no length');
  const blockEnd = at + 2 + readUint16(buffer, at);
  if (blockEnd > end) throw malformed('the extension block reaches past the frame');
  const extensions = new Map<number, Uint8Array>();
  let entry = at + 2;
  while (entry < blockEnd) {
    if (blockEnd - entry < 3) throw malformed('an extension has no length');
    const key = buffer[entry] as number;
    const valueEnd = entry + 3 + readUint16(buffer, entry + 1);
    if (valueEnd > blockEnd) throw malformed(`extension ${key} reaches past its block`);
    if (key >= FIRST_CRITICAL_EXTENSION && !CRITICAL_KNOWN.has(key)) {
      throw ipcError(
        'PEER_UNKNOWN_EXTENSION',
        `${frameTypeName(type)}: extension ${key} must be understood and is not known`,
        {
          details: { type, key },
        },
      );
    }
    extensions.set(key, buffer.subarray(entry + 3, valueEnd));
    entry = valueEnd;
  }
  return { extensions, end: blockEnd };
}

export function readUint32(buffer: Uint8Array, at: number): number {
  return (
    (((buffer[at] as number) << 24) |
      ((buffer[at + 1] as number) << 16) |
      ((buffer[at + 2] as number) << 8) |
      (buffer[at + 3] as number)) >>>
    0
  );
}

function readUint16(buffer: Uint8Array, at: number): number {
  return ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
}

export function writeUint32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}
