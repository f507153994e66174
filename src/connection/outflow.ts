// The outgoing half of a connection: writes what was laid out once a turn, at once when a slab is full,
// and knows when too much is waiting.

import { FrameWriter } from '../session/frame-writer.ts';
import type { SlabPool } from '../session/slab-pool.ts';
import type { Wire } from '../transports/wire.ts';
import type { Flushable, Turn } from './turn.ts';

/** Handed to the wire in one go; the rest waits, so that small frames can pass large bodies. */
const WRITE_BYTES = 512 * 1024;
/** Laid out in one turn; more than this is written before the turn ends. */
const EAGER_BYTES = 256 * 1024;
/**
 * The first of many small frames of a turn are written at once, so that the peer has something to do while the
 * others are laid out: both work at the same time. What is large anyway leaves in fewer writes.
 */
const FIRST_BYTES = { from: 4 * 1024, to: 16 * 1024 } as const;

export interface OutflowOptions {
  readonly pool: SlabPool;
  readonly turn: Turn;
  /** From this many bytes on that the system has not taken, the connection counts as congested. */
  readonly congestedBytes: number;
  /** Milliseconds in which a peer must take more of what is left for it, or hang up, once we end. */
  readonly farewellMs: number;
}

export class Outflow implements Flushable {
  readonly writer: FrameWriter;
  readonly #wire: Wire;
  readonly #turn: Turn;
  readonly #congestedBytes: number;
  readonly #farewellMs: number;
  readonly #recovered: () => void;
  #scheduled = false;
  /** Something of this turn was written before its end. */
  #begun = false;
  #wireFull = false;
  #wasCongested = false;
  #ending: { readonly code: number; readonly reason: string } | undefined;
  #stopped = false;
  #bytesOut = 0;

  /** `recovered` is called when a time of congestion is over. */
  constructor(wire: Wire, options: OutflowOptions, recovered: () => void) {
    this.writer = new FrameWriter(options.pool);
    this.#wire = wire;
    this.#turn = options.turn;
    this.#congestedBytes = options.congestedBytes;
    this.#farewellMs = options.farewellMs;
    this.#recovered = recovered;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Bytes laid out or buffered which the system has not taken. */
  get waitingBytes(): number {
    return this.writer.pendingBytes + this.#wire.bufferedBytes;
  }

  get congested(): boolean {
    if (!this.#wireFull && this.writer.pendingBytes < this.#congestedBytes) return false;
    if (this.waitingBytes < this.#congestedBytes) return false;
    this.#wasCongested = true;
    return true;
  }

  /** Asks for a write at the end of this turn: to be called after frames were laid out. */
  touch(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#begun = false;
      this.#turn.add(this);
      return;
    }
    if (this.#wireFull) return;
    const { pendingBytes } = this.writer;
    const first = !this.#begun && pendingBytes >= FIRST_BYTES.from && pendingBytes <= FIRST_BYTES.to;
    if (first || pendingBytes >= EAGER_BYTES) {
      this.#begun = true;
      this.#write();
    }
  }

  /** The turn has ended. */
  flush(): void {
    this.#scheduled = false;
    if (this.#stopped) return;
    if (!this.#wireFull) this.#write();
    this.#recover();
  }

  /** The wire has room again. */
  drained(): void {
    if (this.#stopped) return;
    this.#wireFull = false;
    this.#write();
    this.#endWhenEmpty();
    if (this.#ending === undefined) this.#recover();
  }

  /** Ends the wire once everything laid out has gone. */
  end(code: number, reason: string): void {
    if (this.#ending === undefined) this.#wire.hasten(this.#farewellMs);
    this.#ending ??= { code, reason };
    if (!this.#wireFull) this.#write();
    this.#endWhenEmpty();
  }

  /** Nothing is written any more; what waits is forgotten. */
  stop(): void {
    this.#stopped = true;
    this.writer.clear();
  }

  #write(): void {
    for (;;) {
      const batch = this.writer.take(WRITE_BYTES);
      if (batch === undefined) return;
      this.#bytesOut += batch.bytes;
      if (!this.#wire.write(batch.parts, () => this.writer.release(batch))) {
        this.#wireFull = true;
        return;
      }
    }
  }

  #endWhenEmpty(): void {
    if (this.#ending === undefined || this.writer.pendingBytes > 0) return;
    this.#wire.end(this.#ending.code, this.#ending.reason);
  }

  #recover(): void {
    if (!this.#wasCongested || this.congested) return;
    this.#wasCongested = false;
    this.#recovered();
  }
}
