// What was asked for while there was no connection, in order, and bounded.

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
  #entries = new Set<Entry<L>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * `run` is called with the next connection, `drop` when there will be none. Gives what takes it out
   * again: what nobody waits for must leave its room to others. Throws `LIMIT_OFFLINE_QUEUE`.
   */
  push(payloadBytes: number, run: (link: L) => void, drop: (error: IPCError) => void): () => void {
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
    const entry = { bytes, run, drop };
    this.#bytes += bytes;
    this.#entries.add(entry);
    return () => {
      if (this.#entries.delete(entry)) this.#bytes -= bytes;
    };
  }

  /** Sends everything. */
  flush(link: L): void {
    for (const entry of this.#take()) entry.run(link);
  }

  /** Fails everything. */
  drop(error: IPCError): void {
    for (const entry of this.#take()) entry.drop(error);
  }

  #take(): ReadonlySet<Entry<L>> {
    const entries = this.#entries;
    this.#entries = new Set();
    this.#bytes = 0;
    return entries;
  }
}
