// The format of the original package on POSIX: base64 of UTF-8 text, one line a message; and the one
// acknowledgement, base64 of `ACK`.

import { isUtf8 } from 'node:buffer';
import { PipeError } from './errors.ts';

/** `absent`: nobody listens. `ours`: a listener of ours has come; use its door. */
export type OriginalResult = 'done' | 'absent' | 'ours';

const NEWLINE = 0x0a;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const ACK = 'ACK';

export function encodeLine(payload: Buffer): Buffer {
  return Buffer.from(`${payload.toString('base64')}\n`, 'latin1');
}

/** @throws PipeError `USAGE_INVALID_PAYLOAD` for what that listener cannot acknowledge or read. */
export function encodeForOriginal(pipe: string, payload: Buffer): Buffer {
  const details = { pipe, bytes: payload.length };
  if (payload.length === 0) {
    throw new PipeError(
      'USAGE_INVALID_PAYLOAD',
      'a listener of the original package never acknowledges an empty message',
      { details },
    );
  }
  if (!isUtf8(payload)) {
    throw new PipeError('USAGE_INVALID_PAYLOAD', 'a listener of the original package takes UTF-8 text only', {
      details,
    });
  }
  return encodeLine(payload);
}

export const ACK_LINE: Buffer = encodeLine(Buffer.from(ACK));

/** The answer of ours to a failed message. The original's sender raises an error which shows this text. */
export function failureLine(reason: string): Buffer {
  return encodeLine(Buffer.from(`ERROR: ${reason}`));
}

/** The UTF-8 bytes of a line, or undefined when it is not what the format asks for. */
export function decodeLine(line: Buffer): Buffer | undefined {
  const text = line.toString('latin1').trim();
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  const payload = Buffer.from(text, 'base64');
  return isUtf8(payload) ? payload : undefined;
}

/** Undefined for the acknowledgement, else the text that came instead of it. */
export function refusalOf(line: Buffer): string | undefined {
  const answer = decodeLine(line)?.toString('utf8') ?? line.toString('latin1');
  return answer === ACK ? undefined : answer;
}

/** Cuts chunks into lines. A line over the limit is skipped to its end and reported without its bytes. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The lines that this chunk completes; undefined stands for one that was too long. */
  push(chunk: Buffer): (Buffer | undefined)[] {
    const lines: (Buffer | undefined)[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#bytes > this.#maxLineBytes ? undefined : Buffer.concat(this.#parts));
      this.#parts = [];
      this.#bytes = 0;
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxLineBytes) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }
}
