// How one message gets to a listener of the original package whole.
//
// That listener waits in a blocking open of the data FIFO. When a writer comes it starts a thread that reads
// one line, and opens the FIFO again at once: as long as the writer is there this succeeds at once too, and
// more and more threads share the bytes of one message. However short the moment is, a busy machine makes it
// long enough. So each message gets a FIFO of its own: we put a new one in the place of the one that the
// listener waits in, and write to the old one, which nobody can open any more. The next time the listener
// opens the name it waits in the new one.

import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, closeSync, existsSync, linkSync, lstatSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { toError } from '../base/errors.ts';
import { errnoOf, PipeError, systemError } from './errors.ts';
import { failure, native, openWriter, unlinkIfThere } from './fifo.ts';
import { lanesInFolder, removeLane } from './fifo-door.ts';
import { writingSocket } from './lane-stream.ts';
import { lanePaths, type PipePaths } from './names.ts';

/** How long the listener may be between two opens: on a busy machine long, where the FIFO was in use just now. */
const REOPEN_GRACE_MS = { inUse: 1_000, idle: 50 };
const IN_USE_WITHIN_MS = 2_000;
/** How long it may be between finding the file and waiting in it; twice as long with each try. */
const ARRIVAL_GRACE_MS = 20;
const POLL_MS = 1;
/** What the kernel writes in one piece, and the listener reads in one piece: PIPE_BUF. */
const ALWAYS_WHOLE_BYTES = process.platform === 'linux' ? 4096 : 512;

/** What is known of the moment before. */
export interface PostFacts {
  /** A sender before us was killed in the middle of this. */
  readonly recover: boolean;
  /** A listener of ours was killed here: it was the one that used the FIFO, as far as anybody knows. */
  readonly isDoorLeft: boolean;
}

/** Writes the line. False when nobody listens. */
export async function post(paths: PipePaths, line: Buffer, facts: PostFacts, signal: AbortSignal): Promise<boolean> {
  if (facts.recover) releaseListener(paths);
  const first = lstatSync(paths.data, { throwIfNoEntry: false });
  if (first === undefined) return false;
  const isOurs = mayReplace(first.uid);
  const isInUse = !facts.isDoorLeft && Math.abs(Date.now() - first.ctimeMs) < IN_USE_WITHIN_MS;
  const end = performance.now() + (isInUse ? REOPEN_GRACE_MS.inUse : REOPEN_GRACE_MS.idle);
  for (let graceMs = ARRIVAL_GRACE_MS; ; graceMs *= 2) {
    signal.throwIfAborted();
    const fd = isOurs ? await takeOver(paths, graceMs) : openWriter(paths.data);
    if (fd !== undefined) {
      await (isOurs ? writeAll(fd, line, signal) : writeAtOnce(paths, fd, line));
      return true;
    }
    if (performance.now() > end || !existsSync(paths.data)) return false;
    await sleep(POLL_MS);
  }
}

/**
 * Whether somebody reads there. To ask is to be a writer: the listener starts a reader that finds nothing, and
 * a message that came before that reader is gone would be lost with it. So it is left alone with the old FIFO.
 */
export async function isListenedOn(paths: PipePaths): Promise<boolean> {
  const fd = openWriter(paths.data);
  if (fd === undefined) return false;
  const { up: fresh, down: old } = lanePaths(paths, randomBytes(16).toString('hex'));
  try {
    if (mayReplace(lstatSync(paths.data).uid)) {
      replace(paths, fresh, old);
      // One that has just found the old file still gets through it, as long as we are there.
      await sleep(ARRIVAL_GRACE_MS);
    }
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw systemError(thrown, 'replace', paths.data);
  } finally {
    unlinkIfThere(fresh);
    unlinkIfThere(old);
    closeSync(fd);
  }
  return true;
}

/** A FIFO of another user cannot be replaced by one that all who used it may use. */
function mayReplace(owner: number): boolean {
  const user = process.geteuid?.();
  return user === 0 || user === owner;
}

/** The writing end of the FIFO in which the listener waits, after a new one has taken its place. */
async function takeOver(paths: PipePaths, graceMs: number): Promise<number | undefined> {
  const { up: fresh, down: old } = lanePaths(paths, randomBytes(16).toString('hex'));
  const end = performance.now() + graceMs;
  try {
    replace(paths, fresh, old);
    for (;;) {
      const fd = openWriter(old);
      if (fd !== undefined || performance.now() > end) return fd;
      await sleep(POLL_MS);
    }
  } catch (thrown) {
    // The listener ended and took the file with it.
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw systemError(thrown, 'replace', paths.data);
  } finally {
    unlinkIfThere(fresh);
    unlinkIfThere(old);
  }
}

function replace(paths: PipePaths, fresh: string, old: string): void {
  linkSync(paths.data, old);
  const { uid, gid, mode } = lstatSync(old);
  const made = native().mkfifo(fresh, 0o600);
  if (made !== 0) throw failure(made, 'make the FIFO', fresh);
  if (process.geteuid?.() === 0) chownSync(fresh, uid, gid);
  chmodSync(fresh, mode & 0o777);
  renameSync(fresh, paths.data);
}

/** Wakes a listener that waits in a FIFO without a name, which a killed sender took away from it. */
function releaseListener(paths: PipePaths): void {
  for (const lane of lanesInFolder(paths)) {
    const fd = openWriter(lane.down);
    if (fd !== undefined) closeSync(fd);
    removeLane(lane);
  }
}

function writeAll(fd: number, line: Buffer, signal: AbortSignal): Promise<void> {
  const socket = writingSocket(fd);
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy();
      reject(toError(signal.reason));
    };
    signal.addEventListener('abort', abort);
    socket.on('error', () => {});
    socket.on('close', () => {
      signal.removeEventListener('abort', abort);
      // A listener that went away while we wrote gives no answer either; who waits for that notices.
      resolve();
    });
    socket.end(line, () => socket.destroy());
  });
}

function writeAtOnce(paths: PipePaths, fd: number, line: Buffer): void {
  try {
    if (line.length > ALWAYS_WHOLE_BYTES) {
      throw new PipeError(
        'LIMIT_MESSAGE_BYTES',
        'longer than a listener of another user, of the original package, takes whole',
        {
          details: { pipe: paths.name, bytes: line.length, maxBytes: ALWAYS_WHOLE_BYTES },
        },
      );
    }
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
}
