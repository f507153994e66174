// What the client needs from where it runs. Node's answers are in node-platform.ts; a browser has its own.

import type { Allocate } from '../protocol/frame.ts';
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
  /** From 0 up to 1: for jitter only. */
  /** A text that no other client has. */
  readonly uniqueId: () => string;
  readonly random: () => number;
  /** Runs its argument when the present turn of the event loop has ended. */
  readonly defer: (run: () => void) => void;
  readonly setTimer: SetTimer;
  readonly allocate: Allocate;
  /** An error that nobody listens for. */
  readonly warn: (error: Error) => void;
}
