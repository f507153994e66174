// The listener's side for senders of the original package: lines from the data FIFO in, acknowledgements
// into the one FIFO that all those senders share.
//
// An acknowledgement there belongs to nobody: whichever sender reads first takes it. So there is never a
// second one in the FIFO, and our writing end stays open as long as we live: a sender that found the FIFO
// without a writer would take the end of file for an answer.

import { closeSync, existsSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, PipeError } from './errors.ts';
import { claimFifo, native, openReader, openWriter, unlinkIfThere } from './fifo.ts';
import { readAvailable } from './fifo-door.ts';
import type { Inbox } from './inbox.ts';
import { readingSocket } from './lane-stream.ts';
import type { PipePaths } from './names.ts';
import { isListenedOn } from './original-post.ts';
import { ACK_LINE, decodeLine, failureLine, LineSplitter } from './original-lines.ts';

/** How long a sender may take from writing its line to reading the answer before we take it for dead. */
const READER_GRACE_MS = { open: 2_000, closing: 500 };
const FOREIGN_GRACE_MS = 50;
const FOREIGN_POLL_MS = 5;
const POLL_MS = 1;
const READ_BYTES = 64 * 1024;

/**
 * Looks more than once where a file of the name is there already: a listener of the original package is
 * away for a moment after each message.
 *
 * @throws PipeError `NETWORK_LISTEN_FAILED` when some other program, of the original package perhaps, reads there.
 */
export async function refuseForeignListener(paths: PipePaths): Promise<void> {
  const end = performance.now() + FOREIGN_GRACE_MS;
  while (existsSync(paths.data)) {
    if (await isListenedOn(paths)) {
      throw new PipeError('NETWORK_LISTEN_FAILED', `another program listens on ${paths.data}`, {
        details: { path: paths.data },
      });
    }
    if (performance.now() > end) return;
    await sleep(FOREIGN_POLL_MS);
  }
}

export class OriginalServer {
  readonly #paths: PipePaths;
  readonly #inbox: Inbox;
  readonly #dataFd: number;
  readonly #keepAlive: number;
  readonly #ackFd: number;
  readonly #socket: Socket;
  readonly #lines: LineSplitter;
  /** The answers that are not read yet, one after the other. */
  #answers: Promise<void> = Promise.resolve();
  #isRef = true;
  #graceMs = READER_GRACE_MS.open;

  constructor(paths: PipePaths, mode: number, maxMessageBytes: number, inbox: Inbox) {
    this.#paths = paths;
    this.#inbox = inbox;
    this.#lines = new LineSplitter(Math.ceil(maxMessageBytes / 3) * 4);
    claimFifo(paths.ack, mode);
    claimFifo(paths.data, mode);
    this.#ackFd = openLonelyWriter(paths.ack);
    this.#dataFd = openReader(paths.data) ?? -1;
    this.#keepAlive = openWriter(paths.data) ?? -1;
    this.#socket = readingSocket(this.#dataFd);
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  setRef(on: boolean): void {
    this.#isRef = on;
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  /**
   * Answers what was processed, refuses what comes meanwhile, then takes the files away: the data FIFO first,
   * because a sender looks for the acknowledgement only after it has written there.
   */
  async close(): Promise<void> {
    this.#graceMs = READER_GRACE_MS.closing;
    await this.#answers;
    unlinkIfThere(this.#paths.data);
    this.#socket.pause();
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    for (let count = readAvailable(this.#dataFd, chunk); count > 0; count = readAvailable(this.#dataFd, chunk)) {
      this.#receive(Buffer.from(chunk.subarray(0, count)));
    }
    await this.#answers;
    unlinkIfThere(this.#paths.ack);
    this.#socket.destroy();
    closeSync(this.#keepAlive);
    closeSync(this.#ackFd);
  }

  #receive(chunk: Buffer): void {
    for (const line of this.#lines.push(chunk)) {
      const payload = line === undefined ? undefined : decodeLine(line);
      if (payload === undefined) {
        this.#answer(
          failureLine(line === undefined ? 'the message is too long' : 'the message is no base64 of UTF-8 text'),
        );
        continue;
      }
      this.#inbox.offer({
        id: undefined,
        payload,
        isText: true,
        from: 'pipecom',
        answer: (outcome) => this.#answer(outcome.ok ? ACK_LINE : failureLine(outcome.text)),
      });
    }
  }

  #answer(line: Buffer): void {
    this.#answers = this.#answers.then(() => this.#deliver(line));
  }

  async #deliver(line: Buffer): Promise<void> {
    if (!(await this.#until(() => native().hasReaders(this.#ackFd) === 1))) return;
    this.#discardUnread();
    try {
      writeSync(this.#ackFd, line);
    } catch (thrown) {
      // EPIPE: the sender went away between the question and the answer.
      if (errnoOf(thrown) !== 'EPIPE') throw thrown;
      return;
    }
    // Whom we saw reading may be the sender before, not gone yet; the one that is meant is about to come.
    await this.#until(() => this.#unreadBytes() === 0);
    this.#discardUnread();
  }

  /** An answer whose sender was killed would be taken by the next one for its own. */
  #discardUnread(): void {
    this.#asReader((fd) => {
      if (native().bytesQueued(fd) > 0) readAvailable(fd, Buffer.allocUnsafe(READ_BYTES));
    });
  }

  #unreadBytes(): number {
    return this.#asReader((fd) => Math.max(0, native().bytesQueued(fd))) ?? 0;
  }

  /** Not every system tells the writing end how much is unread, so we are a reader for as long as we ask. */
  #asReader<T>(ask: (fd: number) => T): T | undefined {
    const fd = openReader(this.#paths.ack);
    if (fd === undefined) return undefined;
    try {
      return ask(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** A FIFO tells nobody when its other end comes or goes, so we look: a few times at once, then each millisecond. */
  async #until(condition: () => boolean): Promise<boolean> {
    const end = performance.now() + this.#graceMs;
    for (let looks = 0; !condition(); looks++) {
      if (performance.now() > end) return false;
      if (looks < 20) await new Promise((resolve) => setImmediate(resolve));
      else await sleep(POLL_MS, undefined, { ref: this.#isRef });
    }
    return true;
  }
}

/** Opens for writing without a reader being there: for a moment it is ourselves. */
function openLonelyWriter(path: string): number {
  const reader = openReader(path);
  const writer = openWriter(path);
  if (reader !== undefined) closeSync(reader);
  if (writer === undefined) throw new PipeError('NETWORK_LISTEN_FAILED', `cannot open ${path}`, { details: { path } });
  return writer;
}
