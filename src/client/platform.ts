// What the client needs from where it runs. Node's answers are in node-platform.ts; a browser has its own.

import type { Allocate } from '../protocol/frame.ts';
import type { SlabPool } from '../session/slab-pool.ts';
import type { Wire } from '../transports/wire.ts';
import type { Address } from './address.ts';
import type { SetTimer } from './timekeeper.ts';

export interface Platform {
  /** Opens a wire. Rejects with a `NETWORK_*` error, and with the signal's reason once it fires. */
  readonly connect: (address: Address, signal: AbortSignal) => Promise<Wire>;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A text that no other client has. */
  readonly uniqueId: () => string;
  /** From 0 up to 1: for jitter only. */
  readonly random: () => number;
  /** Runs its argument when the present turn of the event loop has ended. */
  readonly defer: (run: () => void) => void;
  readonly setTimer: SetTimer;
  readonly allocate: Allocate;
  /** Slabs for what goes out, shared by all clients: an idle one owns none. */
  readonly pool: SlabPool;
  /** An error that nobody listens for. */
  readonly warn: (error: Error) => void;
}
