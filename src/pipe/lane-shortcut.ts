// The short way on a lane of FIFOs: bytes go straight to the descriptor and, when an answer is about to come,
// straight from it, without a round through the event loop. Waking a process that sleeps in the event loop
// takes longer than everything else in an exchange, so who expects an answer looks for it a moment before it
// goes to sleep. What the short way does not do is left to the sockets over the same descriptors.

import type { PipeNative } from '../native/pipe-native.ts';
import { native } from './fifo.ts';

/** How long one look lasts. */
const LOOK_MICROS = 50;
/** One that lasted so long was interrupted: the processors are wanted, and who sleeps is served before who looks. */
const INTERRUPTED_MS = 0.2;
/** What a good look saves, about: going to sleep and being woken. */
const EARNED_MS = 0.03;
/** Where interruptions take more than looks have earned, there are none until the loss is so small a part of the time. */
const REST_FACTOR = 50;
/** What was earned long ago does not count. */
const MOST_EARNED_MS = 20;
/** Each look in vain doubles the number of answers that are then waited for asleep, up to this; each good one halves it. */
const MOST_SKIPPED = 1023;
/** One turn of the event loop looks so long altogether: timers, signals and other lanes have their turn too. */
const TURN_MS = 1;
const SLAB_BYTES = 64 * 1024;
const MIN_ROOM_BYTES = 4 * 1024;

let turnEnd: number | undefined;

/** Whether this turn of the event loop has time for another look. */
function hasTime(now: number): boolean {
  if (turnEnd === undefined) {
    turnEnd = now + TURN_MS;
    setImmediate(() => (turnEnd = undefined));
  }
  return now < turnEnd;
}

export class LaneShortcut {
  readonly #readFd: number;
  readonly #writeFd: number;
  readonly #native: Pick<PipeNative, 'hasReaders' | 'readNow' | 'writeNow'>;
  readonly #now: () => number;
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;
  #toSkip = 0;
  #skipsLeft = 0;
  #earnedMs = 0;
  #restUntil = 0;

  constructor(
    readFd: number,
    writeFd: number,
    calls: Pick<PipeNative, 'hasReaders' | 'readNow' | 'writeNow'> = native(),
    now: () => number = () => performance.now(),
  ) {
    this.#now = now;
    this.#native = calls;
    this.#readFd = readFd;
    this.#writeFd = writeFd;
  }

  /** Whether the other side can still read what we write. */
  hasReader(): boolean {
    return this.#native.hasReaders(this.#writeFd) === 1;
  }

  /** What the pipe has not taken; undefined when it took all. An error is left to the socket, which meets it again. */
  write(bytes: Buffer): Buffer | undefined {
    const count = this.#native.writeNow(this.#writeFd, bytes);
    if (count === bytes.length) return undefined;
    return count > 0 ? bytes.subarray(count) : bytes;
  }

  /** What comes within a moment, if anything does. The end of the file is left to the socket, too. */
  look(): Buffer | undefined {
    if (this.#skipsLeft > 0) {
      this.#skipsLeft -= 1;
      return undefined;
    }
    const start = this.#now();
    if (start < this.#restUntil || !hasTime(start)) return undefined;
    if (this.#slab.length - this.#used < MIN_ROOM_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const room = this.#slab.subarray(this.#used);
    const count = this.#native.readNow(this.#readFd, room, LOOK_MICROS);
    this.#learn(count > 0, start, this.#now());
    if (count <= 0) return undefined;
    this.#used += count;
    return room.subarray(0, count);
  }

  #learn(isFound: boolean, start: number, end: number): void {
    const isInterrupted = end - start > INTERRUPTED_MS;
    if (isFound && !isInterrupted) {
      this.#toSkip >>= 1;
      this.#earnedMs = Math.min(this.#earnedMs + EARNED_MS, MOST_EARNED_MS);
      return;
    }
    this.#toSkip = Math.min(this.#toSkip * 2 + 1, MOST_SKIPPED);
    this.#skipsLeft = this.#toSkip;
    if (!isInterrupted) return;
    this.#earnedMs -= end - start;
    if (this.#earnedMs >= 0) return;
    this.#restUntil = end - this.#earnedMs * REST_FACTOR;
    this.#earnedMs = 0;
  }
}
