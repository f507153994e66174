// @ts-check
// What is sent, and how a receiver proves that it got it: it reads the first and the last byte of every payload and
// checks the length, so that a library gains nothing by not decoding what it delivers.

const FIRST = 0x41;
const LAST = 0x5a;

/**
 * @param {'bytes' | 'text'} kind
 * @param {number} sizeBytes
 * @returns {import('./adapters/adapter.mjs').Payload}
 */
export function makePayload(kind, sizeBytes) {
  const bytes = Buffer.alloc(sizeBytes, 0x62);
  bytes[0] = FIRST;
  bytes[sizeBytes - 1] = LAST;
  return kind === 'text' ? bytes.toString('latin1') : bytes;
}

/** Counts what one receiver gets. */
export class Counter {
  received = 0;
  corrupt = 0;
  /** @type {import('./adapters/adapter.mjs').Receive} */
  receive;

  /**
   * @param {'bytes' | 'text'} kind
   * @param {number} sizeBytes
   * @param {number} markEvery 0: no marks
   * @param {(mark: number) => void} onMark
   */
  constructor(kind, sizeBytes, markEvery, onMark) {
    let untilMark = markEvery;
    let mark = 0;
    const count = () => {
      this.received += 1;
      if (markEvery === 0) return;
      untilMark -= 1;
      if (untilMark > 0) return;
      untilMark = markEvery;
      mark += 1;
      onMark(mark);
    };
    this.receive =
      kind === 'text'
        ? (text, start, end) => {
            const sound =
              typeof text === 'string' && text.charCodeAt(start) === FIRST && text.charCodeAt(end - 1) === LAST;
            if (!sound || end - start !== sizeBytes) this.corrupt += 1;
            count();
          }
        : (bytes, start, end) => {
            if (bytes[start] !== FIRST || bytes[end - 1] !== LAST || end - start !== sizeBytes) this.corrupt += 1;
            count();
          };
  }
}
