// What a listener occupies so that it is found: FIFOs and a lock on POSIX, one address on Windows.

import { lstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { onExit } from '../native/exit-duty.ts';
import { hasReader, unlinkIfThere } from './fifo.ts';
import { FifoDoor, sweepLanes } from './fifo-door.ts';
import { PipeError } from './errors.ts';
import type { Inbox } from './inbox.ts';
import type { LaneStream } from './lane-stream.ts';
import { type NameLock, tryLock } from './lock.ts';
import type { PipePaths, PipePlace } from './names.ts';
import { OriginalServer, refuseForeignListener } from './original-server.ts';
import type { ResolvedPipeOptions } from './pipe-options.ts';
import { SocketDoor } from './socket-door.ts';

export interface Premises {
  /** Whether being found there keeps the process alive. */
  setRef(on: boolean): void;
  /** Nobody finds the place any more, who came before is told, and everything is given back. */
  close(): Promise<void>;
}

/**
 * @throws PipeError `NETWORK_LISTEN_FAILED` somebody listens there · `NETWORK_PERMISSION` ·
 * `NETWORK_PATH_OCCUPIED` one of the files is no FIFO
 * @throws IPCError `SYSTEM_NO_ADDON`
 */
export function occupy(
  place: PipePlace,
  options: ResolvedPipeOptions,
  inbox: Inbox,
  accept: (stream: LaneStream) => void,
): Promise<Premises> {
  return place.kind === 'fifo'
    ? FifoPremises.open(place, options, inbox, accept)
    : SocketDoor.open(place, options.mode, accept);
}

/** One sender holds the lock so long only when a listener of the original package is processing its message. */
const SENDER_GRACE_MS = 3_000;
/** Senders that try, one after the other, whether one of the original package listens leave it free for moments only. */
const ALL_SENDERS_GRACE_MS = 30_000;
const POLL_MS = 2;

/** The lock of the name; undefined when a listener has it, or a sender for a listener of the original package. */
async function lockPlace(paths: PipePaths, mode: number): Promise<NameLock | undefined> {
  const lastEnd = performance.now() + ALL_SENDERS_GRACE_MS;
  let holder: string | undefined;
  let end = 0;
  for (;;) {
    const lock = tryLock(paths.lock, mode);
    if (lock !== undefined || hasReader(paths.door)) return lock;
    const now = performance.now();
    const current = lockFile(paths);
    if (current === undefined || current !== holder) end = now + SENDER_GRACE_MS;
    holder = current;
    if (now > Math.min(end, lastEnd)) return undefined;
    await sleep(POLL_MS);
  }
}

/** Each sender makes the file anew, and marks it when it begins and ends; undefined between two of them. */
function lockFile(paths: PipePaths): string | undefined {
  const stat = lstatSync(paths.lock, { throwIfNoEntry: false });
  return stat && `${stat.ino} ${stat.ctimeMs}`;
}

/** The door for senders of ours and the two FIFOs for those of the original package, under one lock. */
class FifoPremises implements Premises {
  readonly #paths: PipePaths;
  readonly #lock: NameLock;
  readonly #door: FifoDoor;
  readonly #originals: OriginalServer;
  readonly #forgetExit: () => void;

  private constructor(
    paths: PipePaths,
    options: ResolvedPipeOptions,
    lock: NameLock,
    inbox: Inbox,
    accept: (stream: LaneStream) => void,
  ) {
    this.#paths = paths;
    this.#lock = lock;
    // The door first: a sender of ours that finds no door takes whoever reads the data FIFO for the original.
    this.#door = new FifoDoor(paths, options.mode, options.bufferBytes, accept);
    try {
      this.#originals = new OriginalServer(paths, options.mode, options.maxMessageBytes, inbox);
    } catch (thrown) {
      this.#door.hide();
      this.#door.close('REMOTE_CLOSED');
      throw thrown;
    }
    this.#forgetExit = onExit(() => this.#vacate());
  }

  static async open(
    paths: PipePaths,
    options: ResolvedPipeOptions,
    inbox: Inbox,
    accept: (stream: LaneStream) => void,
  ): Promise<FifoPremises> {
    const lock = await lockPlace(paths, options.mode & 0o666);
    if (lock === undefined) {
      throw new PipeError('NETWORK_LISTEN_FAILED', `somebody listens on ${paths.data}`, {
        details: { path: paths.data },
      });
    }
    try {
      await refuseForeignListener(paths);
      sweepLanes(paths);
      lock.markSettled();
      return new FifoPremises(paths, options, lock, inbox, accept);
    } catch (thrown) {
      lock.release(true);
      throw thrown;
    }
  }

  setRef(on: boolean): void {
    this.#door.setRef(on);
    this.#originals.setRef(on);
  }

  async close(): Promise<void> {
    await this.#originals.close();
    this.#door.hide();
    this.#door.close('REMOTE_CLOSED');
    sweepLanes(this.#paths);
    this.#forgetExit();
    this.#lock.release(true);
  }

  /** The process ends: takes the files away. Whoever was not answered learns by the end of the lane that nobody knows. */
  #vacate(): void {
    // Somebody removed the files, and who listens there now made new ones.
    if (!this.#lock.isInPlace()) return;
    const { data, ack, door } = this.#paths;
    for (const path of [data, ack, door]) unlinkIfThere(path);
    sweepLanes(this.#paths);
    this.#lock.release(true);
  }
}
