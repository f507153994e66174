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
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;
  #toSkip = 0;
  #skipsLeft = 0;

  constructor(
    readFd: number,
    writeFd: number,
    calls: Pick<PipeNative, 'hasReaders' | 'readNow' | 'writeNow'> = native(),
  ) {
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
    const start = performance.now();
    if (!hasTime(start)) return undefined;
    if (this.#slab.length - this.#used < MIN_ROOM_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const room = this.#slab.subarray(this.#used);
    const count = this.#native.readNow(this.#readFd, room, LOOK_MICROS);
    if (count <= 0 || performance.now() - start > INTERRUPTED_MS) {
      this.#toSkip = Math.min(this.#toSkip * 2 + 1, MOST_SKIPPED);
      this.#skipsLeft = this.#toSkip;
    } else {
      this.#toSkip >>= 1;
    }
    if (count <= 0) return undefined;
    this.#used += count;
    return room.subarray(0, count);
  }
}
