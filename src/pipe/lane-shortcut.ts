// The short way on a lane of FIFOs: bytes go straight to the descriptor and, when an answer is about to come,
// straight from it, without a round through the event loop. Waking a process that sleeps in the event loop
// takes longer than everything else in an exchange, so who expects an answer looks for it a moment before it
// goes to sleep. What the short way does not do is left to the sockets over the same descriptors.

import { native } from './fifo.ts';

/** How long one look lasts. */
const LOOK_MICROS = 50;
/** After so many looks that found nothing, only one in so many is taken: the other side is slow, or busy. */
const VAIN_LOOKS = 4;
const RARE_LOOK = 32;
/** One turn of the event loop looks so long altogether: timers, signals and other lanes have their turn too. */
const TURN_MS = 1;
const SLAB_BYTES = 64 * 1024;
const MIN_ROOM_BYTES = 4 * 1024;

let turnEnd: number | undefined;

/** Whether this turn of the event loop has time for another look. */
function hasTime(): boolean {
  const now = performance.now();
  if (turnEnd === undefined) {
    turnEnd = now + TURN_MS;
    setImmediate(() => (turnEnd = undefined));
  }
  return now < turnEnd;
}

export class LaneShortcut {
  readonly #readFd: number;
  readonly #writeFd: number;
  readonly #native = native();
  #slab: Buffer = Buffer.alloc(0);
  #used = 0;
  #vain = 0;

  constructor(readFd: number, writeFd: number) {
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
    if (this.#vain >= VAIN_LOOKS && this.#vain++ % RARE_LOOK !== 0) return undefined;
    if (!hasTime()) return undefined;
    if (this.#slab.length - this.#used < MIN_ROOM_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const room = this.#slab.subarray(this.#used);
    const count = this.#native.readNow(this.#readFd, room, LOOK_MICROS);
    if (count <= 0) {
      if (this.#vain < VAIN_LOOKS) this.#vain++;
      return undefined;
    }
    this.#vain = 0;
    this.#used += count;
    return room.subarray(0, count);
  }
}
