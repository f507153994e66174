// The sender's side towards a listener of the original package. Its one acknowledgement FIFO has no room
// for two, so senders of ours take turns: a lock for the length of one exchange.
//
// What that listener does, and what follows for us:
// - It opens the acknowledgement FIFO for writing after its callback, and waits there until somebody reads.
//   We read before we send, so that this answer is ours; the end of file of an earlier one means nothing.
// - When its callback throws it never answers. The next of ours must not take a late answer for its own.
// - How it reads: see original-post.ts.

import { lstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipeError } from './errors.ts';
import { hasReader, openReader, unlinkIfThere } from './fifo.ts';
import { readAvailable } from './fifo-door.ts';
import { readingSocket } from './lane-stream.ts';
import { type NameLock, tryLock } from './lock.ts';
import type { PipePaths } from './names.ts';
import { encodeForOriginal, LineSplitter, type OriginalResult, refusalOf } from './original-lines.ts';
import { post } from './original-post.ts';

/** How long we wait for the answer that is owed to a sender which was killed or gave up. */
const UNSETTLED_GRACE_MS = 1_000;
const POLL_MS = { first: 1, most: 10 };
const MAX_ACK_LINE_BYTES = 64 * 1024;

/**
 * One message and its acknowledgement.
 *
 * @throws PipeError when the listener answers something else, or the message cannot be sent in its format;
 * the signal's reason when that fires.
 */
export async function exchangeWithOriginal(
  paths: PipePaths,
  payload: Buffer,
  signal: AbortSignal,
): Promise<OriginalResult> {
  if (!isFifo(paths.data)) return 'absent';
  const line = encodeForOriginal(paths.name, payload);
  const lock = await acquire(paths, signal);
  if (lock === undefined) return 'ours';
  const answers = new AnswerReader(paths.ack);
  let settled = true;
  try {
    if (!answers.open()) return 'absent';
    if (lock.wasUnsettled)
      await answers.next(AbortSignal.any([signal, AbortSignal.timeout(UNSETTLED_GRACE_MS)])).catch(() => {});
    answers.discard();
    signal.throwIfAborted();
    lock.markUnsettled();
    // With the lock in our hands no listener of ours lives: a door is what a killed one left.
    const isDoorLeft = isFifo(paths.door);
    if (!(await post(paths, line, { recover: lock.wasUnsettled, isDoorLeft }, signal))) {
      lock.markSettled();
      return 'absent';
    }
    settled = false;
    const refusal = refusalOf(await answers.next(signal));
    settled = true;
    lock.markSettled();
    if (isDoorLeft) unlinkIfThere(paths.door);
    if (refusal === undefined) return 'done';
    throw new PipeError('REMOTE_HANDLER_FAILED', `the listener answered: ${refusal}`, {
      details: { pipe: paths.name, answer: refusal },
    });
  } finally {
    answers.close();
    lock.release(settled);
  }
}

function isFifo(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
}

/** The lock, or undefined when meanwhile a listener of ours has come, which keeps the lock for itself. */
async function acquire(paths: PipePaths, signal: AbortSignal): Promise<NameLock | undefined> {
  const mode = lstatSync(paths.data, { throwIfNoEntry: false })?.mode ?? 0o600;
  for (let waitMs = POLL_MS.first; ; waitMs = Math.min(waitMs * 2, POLL_MS.most)) {
    signal.throwIfAborted();
    const lock = tryLock(paths.lock, mode & 0o666);
    if (lock !== undefined) return lock;
    if (hasReader(paths.door)) return undefined;
    await sleep(waitMs);
  }
}

/** Reads the acknowledgement FIFO line by line, through any number of writers that come and go. */
class AnswerReader {
  readonly #path: string;
  #fd: number | undefined;
  #socket: Socket | undefined;
  #lines = new LineSplitter(MAX_ACK_LINE_BYTES);
  #got: Buffer[] = [];
  #wake: (() => void) | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** False when the FIFO is not there. */
  open(): boolean {
    const fd = openReader(this.#path);
    if (fd === undefined) return false;
    const before = this.#socket;
    const socket = readingSocket(fd);
    this.#fd = fd;
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    // The writer of an earlier answer closed. Opened again before this one closes, so that the listener always finds a reader.
    socket.on('end', () => {
      if (this.#socket === socket) this.open();
    });
    before?.destroy();
    return true;
  }

  async next(signal: AbortSignal): Promise<Buffer> {
    for (;;) {
      const line = this.#got.shift();
      if (line !== undefined) return line;
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener('abort', wake);
      });
    }
  }

  /** Forgets what came so far: it was meant for somebody else. */
  discard(): void {
    const chunk = Buffer.allocUnsafe(MAX_ACK_LINE_BYTES);
    while (this.#fd !== undefined && readAvailable(this.#fd, chunk) > 0);
    this.#got = [];
    this.#lines = new LineSplitter(MAX_ACK_LINE_BYTES);
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#fd = undefined;
    if (socket === undefined) return;
    socket.destroy();
  }

  #receive(chunk: Buffer): void {
    for (const line of this.#lines.push(chunk)) if (line !== undefined) this.#got.push(line);
    this.#wake?.();
  }
}
