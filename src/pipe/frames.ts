// The frames on a lane, between a sender and a listener of ours. `docs/pipe.md#frames` is the description
// to the byte; this file is the only one that knows the bytes.

export const VERSION = 1;

const UP_HELLO = 1;
const UP_MESSAGE = 2;
const UP_CANCEL = 3;
const DOWN_WELCOME = 4;
const DOWN_DONE = 5;
const DOWN_FAILED = 6;
const DOWN_GOODBYE = 7;

const LENGTH_BYTES = 4;
/** Type, flags, id length, sequence. */
const MESSAGE_HEAD_BYTES = 7;
const FLAG_TEXT = 1;
/** What is copied behind its head; above that, two parts of one vectored write are cheaper. */
const SMALL_BYTES = 12 * 1024;
/** UTF-8 of one UTF-16 unit. */
const MOST_BYTES_OF_UNIT = 3;
export const MAX_ID_BYTES = 255;
/** What a frame may hold besides the payload. */
const FRAME_OVERHEAD_BYTES = MESSAGE_HEAD_BYTES + MAX_ID_BYTES;
/** Sender ids and listener instances. */
const ID_BYTES = 16;

/** Why a message failed, as one byte on the wire. */
export const FAILURES = [
  'REMOTE_HANDLER_FAILED',
  'REMOTE_CLOSED',
  'LIMIT_MESSAGE_BYTES',
  'USAGE_INVALID_PAYLOAD',
] as const;
export type FailureCode = (typeof FAILURES)[number];

/** Why a listener takes no more, as one byte on the wire. */
export const GOODBYES = ['REMOTE_CLOSED', 'LIMIT_CONNECTIONS', 'PEER_VERSION'] as const;
export type GoodbyeCode = (typeof GOODBYES)[number];

export type Frame =
  | { readonly type: 'hello'; version: number; sender: string }
  | { readonly type: 'message'; seq: number; isText: boolean; id: string; payload: Buffer }
  | { readonly type: 'oversize'; seq: number; bytes: number }
  | { readonly type: 'cancel'; seq: number }
  | { readonly type: 'welcome'; version: number; instance: string; maxMessageBytes: number }
  | { readonly type: 'done'; seqs: number[] }
  | { readonly type: 'failed'; seq: number; code: FailureCode; text: string }
  | { readonly type: 'goodbye'; code: GoodbyeCode };

/** The first frame of a sender. `sender` is 32 hex digits. */
export function helloFrame(sender: string): Buffer {
  const frame = start(UP_HELLO, 1 + ID_BYTES);
  frame[5] = VERSION;
  frame.write(sender, 6, 'hex');
  return frame;
}

/** Whether a message is so small that `writeMessage` is cheaper than a part of its own. */
export function isSmall(message: string | Uint8Array): boolean {
  return message.length <= (typeof message === 'string' ? SMALL_BYTES / MOST_BYTES_OF_UNIT : SMALL_BYTES);
}

/** What `writeMessage` may take for it. */
export function mostMessageBytes(id: string, message: string | Uint8Array): number {
  const payloadBytes = typeof message === 'string' ? message.length * MOST_BYTES_OF_UNIT : message.length;
  return LENGTH_BYTES + MESSAGE_HEAD_BYTES + id.length * MOST_BYTES_OF_UNIT + payloadBytes;
}

/** Writes a whole message from `at` on; gives where it ends. */
export function writeMessage(into: Buffer, at: number, seq: number, id: string, message: string | Uint8Array): number {
  const idAt = at + LENGTH_BYTES + MESSAGE_HEAD_BYTES;
  const payloadAt = id === '' ? idAt : idAt + into.write(id, idAt);
  let end = payloadAt + message.length;
  if (typeof message === 'string') end = payloadAt + into.write(message, payloadAt);
  else into.set(message, payloadAt);
  writeHead(into, at, seq, typeof message === 'string', payloadAt - idAt, end - at - LENGTH_BYTES);
  return end;
}

/** What stands before the payload of a message. */
export function messageHead(seq: number, isText: boolean, id: string, payloadBytes: number): Buffer {
  const idBytes = Buffer.byteLength(id);
  const head = Buffer.allocUnsafe(LENGTH_BYTES + MESSAGE_HEAD_BYTES + idBytes);
  writeHead(head, 0, seq, isText, idBytes, MESSAGE_HEAD_BYTES + idBytes + payloadBytes);
  head.write(id, LENGTH_BYTES + MESSAGE_HEAD_BYTES);
  return head;
}

function writeHead(into: Buffer, at: number, seq: number, isText: boolean, idBytes: number, length: number): void {
  into.writeUInt32BE(length, at);
  into[at + 4] = UP_MESSAGE;
  into[at + 5] = isText ? FLAG_TEXT : 0;
  into[at + 6] = idBytes;
  into.writeUInt32BE(seq, at + 7);
}

export function cancelFrame(seq: number): Buffer {
  const frame = start(UP_CANCEL, 4);
  frame.writeUInt32BE(seq, 5);
  return frame;
}

export function welcomeFrame(instance: string, maxMessageBytes: number): Buffer {
  const frame = start(DOWN_WELCOME, 1 + ID_BYTES + 4);
  frame[5] = VERSION;
  frame.write(instance, 6, 'hex');
  frame.writeUInt32BE(maxMessageBytes, 6 + ID_BYTES);
  return frame;
}

export function doneFrame(seqs: readonly number[]): Buffer {
  const frame = start(DOWN_DONE, seqs.length * 4);
  let offset = 5;
  for (const seq of seqs) offset = frame.writeUInt32BE(seq, offset);
  return frame;
}

export function failedFrame(seq: number, code: FailureCode, text: string): Buffer {
  const body = Buffer.from(text);
  const frame = start(DOWN_FAILED, 5 + body.length);
  frame.writeUInt32BE(seq, 5);
  frame[9] = FAILURES.indexOf(code);
  body.copy(frame, 10);
  return frame;
}

export function goodbyeFrame(code: GoodbyeCode): Buffer {
  const frame = start(DOWN_GOODBYE, 1);
  frame[5] = GOODBYES.indexOf(code);
  return frame;
}

function start(type: number, bodyBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + 1 + bodyBytes);
  frame.writeUInt32BE(1 + bodyBytes, 0);
  frame[4] = type;
  return frame;
}

/** Bytes that no frame can begin with; the lane is given up. */
export class MalformedFrame extends Error {
  override readonly name = 'MalformedFrame';
}

/**
 * Cuts chunks into frames. A frame inside one chunk is a view of it; one that crosses chunks gets one buffer
 * of its announced size, after that size was checked. A message over the limit is skipped, and reported
 * with its sequence so that it can be answered.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  readonly #emit: (frame: Frame) => void;
  #tail: Buffer | undefined;
  #body: Buffer | undefined;
  #filled = 0;
  #skip = 0;

  constructor(maxMessageBytes: number, emit: (frame: Frame) => void) {
    this.#maxFrameBytes = maxMessageBytes + FRAME_OVERHEAD_BYTES;
    this.#emit = emit;
  }

  /** @throws MalformedFrame */
  push(chunk: Buffer): void {
    let rest = this.#tail === undefined ? chunk : Buffer.concat([this.#tail, chunk]);
    this.#tail = undefined;
    while (rest.length > 0) {
      const next = this.#step(rest);
      if (next === undefined) {
        this.#tail = rest;
        return;
      }
      rest = next;
    }
  }

  /** Takes what it can; gives the rest, or undefined when more bytes are needed to go on. */
  #step(rest: Buffer): Buffer | undefined {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, rest.length);
      this.#skip -= skipped;
      return rest.subarray(skipped);
    }
    if (this.#body !== undefined) return this.#fill(this.#body, rest);
    if (rest.length < LENGTH_BYTES) return undefined;
    const length = rest.readUInt32BE(0);
    if (length === 0) throw new MalformedFrame('an empty frame');
    if (length > this.#maxFrameBytes) return this.#startSkipping(rest, length);
    const end = LENGTH_BYTES + length;
    if (rest.length >= end) {
      this.#emit(parse(rest.subarray(LENGTH_BYTES, end)));
      return rest.subarray(end);
    }
    this.#body = Buffer.allocUnsafe(length);
    this.#filled = 0;
    return rest.subarray(LENGTH_BYTES);
  }

  #fill(body: Buffer, rest: Buffer): Buffer {
    const taken = rest.copy(body, this.#filled);
    this.#filled += taken;
    if (this.#filled === body.length) {
      this.#body = undefined;
      this.#emit(parse(body));
    }
    return rest.subarray(taken);
  }

  #startSkipping(rest: Buffer, length: number): Buffer | undefined {
    if (rest.length < LENGTH_BYTES + MESSAGE_HEAD_BYTES) return undefined;
    if (rest[4] !== UP_MESSAGE) throw new MalformedFrame(`a frame of ${length} bytes`);
    this.#skip = length - MESSAGE_HEAD_BYTES;
    this.#emit({ type: 'oversize', seq: rest.readUInt32BE(7), bytes: this.#skip - (rest[6] ?? 0) });
    return rest.subarray(LENGTH_BYTES + MESSAGE_HEAD_BYTES);
  }
}

const MIN_BODY_BYTES: Readonly<Record<number, number>> = {
  [UP_HELLO]: 2 + ID_BYTES,
  [UP_MESSAGE]: MESSAGE_HEAD_BYTES,
  [UP_CANCEL]: 5,
  [DOWN_WELCOME]: 2 + ID_BYTES + 4,
  [DOWN_DONE]: 5,
  [DOWN_FAILED]: 6,
  [DOWN_GOODBYE]: 2,
};

function parse(body: Buffer): Frame {
  const type = body[0] ?? 0;
  const least = MIN_BODY_BYTES[type];
  if (least === undefined) throw new MalformedFrame(`frame type ${type}`);
  if (body.length < least) throw new MalformedFrame(`frame type ${type} of ${body.length} bytes`);
  switch (type) {
    case UP_HELLO:
      return { type: 'hello', version: body[1] ?? 0, sender: body.toString('hex', 2, 2 + ID_BYTES) };
    case UP_MESSAGE:
      return parseMessage(body);
    case UP_CANCEL:
      return { type: 'cancel', seq: body.readUInt32BE(1) };
    case DOWN_WELCOME:
      return {
        type: 'welcome',
        version: body[1] ?? 0,
        instance: body.toString('hex', 2, 2 + ID_BYTES),
        maxMessageBytes: body.readUInt32BE(2 + ID_BYTES),
      };
    case DOWN_DONE:
      return parseDone(body);
    case DOWN_FAILED: {
      const code = FAILURES[body[5] ?? 0] ?? 'REMOTE_HANDLER_FAILED';
      return { type: 'failed', seq: body.readUInt32BE(1), code, text: body.toString('utf8', 6) };
    }
    default:
      return { type: 'goodbye', code: GOODBYES[body[1] ?? 0] ?? 'REMOTE_CLOSED' };
  }
}

function parseMessage(body: Buffer): Frame {
  const payloadAt = MESSAGE_HEAD_BYTES + (body[2] ?? 0);
  if (payloadAt > body.length) throw new MalformedFrame('an id longer than its frame');
  return {
    type: 'message',
    seq: body.readUInt32BE(3),
    isText: ((body[1] ?? 0) & FLAG_TEXT) !== 0,
    id: payloadAt === MESSAGE_HEAD_BYTES ? '' : body.toString('utf8', MESSAGE_HEAD_BYTES, payloadAt),
    payload: body.subarray(payloadAt),
  };
}

function parseDone(body: Buffer): Frame {
  if ((body.length - 1) % 4 !== 0) throw new MalformedFrame('a broken list of sequences');
  const seqs: number[] = [];
  for (let offset = 1; offset < body.length; offset += 4) seqs.push(body.readUInt32BE(offset));
  return { type: 'done', seqs };
}
