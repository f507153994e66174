// A lane: bytes there and bytes back between one sender and one listener. Two FIFOs on POSIX, one duplex
// pipe on Windows; the rest of the code sees no difference.

import { Socket } from 'node:net';
import { LaneShortcut } from './lane-shortcut.ts';
import { WriteBatch } from './write-batch.ts';

export interface LaneHandlers {
  data(chunk: Buffer): void;
  /** The other side has gone or closed; nothing comes any more. Called once, and never after `destroy`. */
  end(): void;
  /** Whether bytes are likely to come at once, so that it is worth looking for them. */
  expects(): boolean;
}

export class LaneStream {
  readonly #incoming: Socket;
  readonly #outgoing: Socket;
  readonly #shortcut: LaneShortcut | undefined;
  #handlers: LaneHandlers | undefined;
  readonly #batch = new WriteBatch();
  #isScheduled = false;
  #isPaused = false;
  #isOver = false;

  constructor(incoming: Socket, outgoing: Socket, shortcut?: LaneShortcut) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#shortcut = shortcut;
    const over = (): void => this.#finish();
    incoming.on('close', over).on('error', over);
    if (outgoing !== incoming) outgoing.on('error', over);
  }

  /** A lane of two FIFOs: one descriptor open for reading, one for writing. Both are closed with the lane. */
  static ofDescriptors(readFd: number, writeFd: number): LaneStream {
    return new LaneStream(readingSocket(readFd), writingSocket(writeFd), new LaneShortcut(readFd, writeFd));
  }

  start(handlers: LaneHandlers): void {
    this.#handlers = handlers;
    this.#incoming.on('data', (chunk: Buffer) => this.#handlers?.data(chunk));
  }

  /** Everything that is written in one turn goes out in one write when the turn ends. */
  write(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#batch.add(bytes);
    this.#schedule();
  }

  /** Where up to so many bytes may be written in place, to go out when the turn ends. */
  reserve(bytes: number): WriteBatch {
    if (!this.#batch.hasRoom(bytes)) this.flush();
    this.#batch.reserve(bytes);
    this.#schedule();
    return this.#batch;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.flush();
      this.#look();
    });
  }

  /** False when the other side is known to have gone, although its end may not have been read yet. */
  isWhole(): boolean {
    return !this.#isOver && this.#shortcut?.hasReader() !== false;
  }

  pause(): void {
    this.#isPaused = true;
    this.#incoming.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isOver) this.#incoming.resume();
  }

  /** Whether the lane keeps the process alive. */
  setRef(on: boolean): void {
    if (on) {
      this.#incoming.ref();
      this.#outgoing.ref();
    } else {
      this.#incoming.unref();
      this.#outgoing.unref();
    }
  }

  /** Writes what is queued, then closes. Resolves when it is closed, at the latest when `graceMs` have passed. */
  end(graceMs: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    this.#handlers = undefined;
    this.flush();
    return new Promise((resolve) => {
      const giveUp = setTimeout(() => this.destroy(), graceMs);
      this.#outgoing.once('close', () => {
        clearTimeout(giveUp);
        this.destroy();
        resolve();
      });
      this.#outgoing.end(() => this.#outgoing.destroy());
    });
  }

  destroy(): void {
    this.#handlers = undefined;
    this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.#incoming.destroy();
    this.#outgoing.destroy();
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.end();
  }

  /** Writes now what would be written when the turn ends. */
  flush(): void {
    let parts = this.#batch.take();
    if (this.#isOver) return;
    if (this.#shortcut !== undefined && this.#outgoing.writableLength === 0) {
      parts = writeNow(this.#shortcut, parts);
      if (parts.length === 0) this.#batch.reuse();
    }
    const [first] = parts;
    if (parts.length === 1 && first !== undefined) {
      this.#outgoing.write(first);
    } else if (parts.length > 1) {
      this.#outgoing.cork();
      for (const part of parts) this.#outgoing.write(part);
      this.#outgoing.uncork();
    }
  }

  /** Takes an answer that comes before the event loop would have gone to sleep and been woken again. */
  #look(): void {
    if (this.#isOver || this.#isPaused || this.#incoming.readableLength > 0) return;
    if (this.#shortcut === undefined || this.#handlers?.expects() !== true) return;
    const chunk = this.#shortcut.look();
    if (chunk !== undefined) this.#handlers.data(chunk);
  }
}

/** The parts that the pipe has not taken. */
function writeNow(shortcut: LaneShortcut, parts: readonly Buffer[]): Buffer[] {
  for (const [index, part] of parts.entries()) {
    const rest = shortcut.write(part);
    if (rest !== undefined) return [rest, ...parts.slice(index + 1)];
  }
  return [];
}

/** A socket over the reading end of a FIFO: the event loop waits for it, no thread does. */
export function readingSocket(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

export function writingSocket(fd: number): Socket {
  return new Socket({ fd, readable: false, writable: true });
}
