// What was asked for while there was no connection, in order, and bounded.

import { ipcError, type IPCError } from '../base/errors.ts';

interface Entry<L> {
  readonly bytes: number;
  readonly awaited: boolean;
  readonly run: (link: L) => void;
  readonly drop: (error: IPCError) => void;
}

/** What an entry costs beside its payload. */
const ENTRY_BYTES = 64;

export class OfflineQueue<L> {
  readonly #bytesMax: number;
  #entries = new Set<Entry<L>>();
  #bytes = 0;
  #awaited = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many are awaited by somebody. */
  get awaited(): number {
    return this.#awaited;
  }

  /**
   * `run` is called with the next connection, `drop` when there will be none. Gives what takes it out
   * again: what nobody waits for must leave its room to others. Throws `LIMIT_OFFLINE_QUEUE`.
   */
  push(payloadBytes: number, awaited: boolean, run: (link: L) => void, drop: (error: IPCError) => void): () => void {
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
    const entry = { bytes, awaited, run, drop };
    this.#bytes += bytes;
    if (awaited) this.#awaited += 1;
    this.#entries.add(entry);
    return () => {
      if (!this.#entries.delete(entry)) return;
      this.#bytes -= bytes;
      if (awaited) this.#awaited -= 1;
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
    this.#awaited = 0;
    return entries;
  }
}
