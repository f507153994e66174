// What was sent while the connection was away, in order, and bounded.

import { ipcError, type IPCError } from '../base/errors.ts';

interface Entry<L> {
  readonly bytes: number;
  readonly run: (link: L) => void;
  readonly drop: (error: IPCError) => void;
}

/** What an entry costs beside its payload. */
const ENTRY_BYTES = 64;

export class OfflineQueue<L> {
  readonly #bytesMax: number;
  #entries: Entry<L>[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `run` is called with the next connection, `drop` when there will be none. Throws `LIMIT_OFFLINE_QUEUE`. */
  push(payloadBytes: number, run: (link: L) => void, drop: (error: IPCError) => void): void {
    const bytes = payloadBytes + ENTRY_BYTES;
    if (this.#bytes + bytes > this.#bytesMax) {
      throw ipcError(
        'LIMIT_OFFLINE_QUEUE',
        `${this.#bytes} bytes wait for the connection; ${this.#bytesMax} are the most`,
        {
          details: { waitingBytes: this.#bytes, bytesMax: this.#bytesMax },
        },
      );
    }
    this.#bytes += bytes;
    this.#entries.push({ bytes, run, drop });
  }

  /** Sends everything. */
  flush(link: L): void {
    for (const entry of this.#take()) entry.run(link);
  }

  /** Fails everything. */
  drop(error: IPCError): void {
    for (const entry of this.#take()) entry.drop(error);
  }

  #take(): Entry<L>[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    return entries;
  }
}
