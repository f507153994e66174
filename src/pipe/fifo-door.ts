// The door on POSIX: a FIFO where senders of ours say the number of their lane. Lines there are shorter than
// PIPE_BUF, so the kernel keeps those of several senders apart. `docs/pipe.md#meeting` tells the order of
// steps and what a kill at each of them leaves.

import { randomBytes } from 'node:crypto';
import { closeSync, lstatSync, readdirSync, readSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { errnoOf, type PipeError } from './errors.ts';
import { onExit } from '../native/exit-duty.ts';
import { claimFifo, failure, isSameFile, native, openReader, openWriter, unlinkIfThere } from './fifo.ts';
import { type GoodbyeCode, goodbyeFrame } from './frames.ts';
import { LaneStream, readingSocket } from './lane-stream.ts';
import { LANE_ID, type LanePaths, laneOfFile, lanePaths, type PipePaths } from './names.ts';
import { LineSplitter } from './original-lines.ts';

const GREETING = 'isthmus-pipe 1 ';
const MAX_LINE_BYTES = 256;
const READ_BYTES = 64 * 1024;

/** A lane whose sender waits for the listener's welcome. */
export interface NewLane {
  readonly stream: LaneStream;
  /** False when no listener can answer any more. */
  isListenerThere(): boolean;
  /** Why there is no lane, when that is not that nobody listens. */
  failure(): PipeError | undefined;
  /** The listener has answered, or will not: what was held only for the meeting is given back. */
  settle(): void;
}

/** The listener's side. */
export class FifoDoor {
  readonly #paths: PipePaths;
  readonly #bufferBytes: number;
  readonly #accept: (stream: LaneStream) => void;
  readonly #fd: number;
  readonly #keepAlive: number;
  readonly #socket: Socket;
  readonly #lines = new LineSplitter(MAX_LINE_BYTES);

  constructor(paths: PipePaths, mode: number, bufferBytes: number, accept: (stream: LaneStream) => void) {
    this.#paths = paths;
    this.#bufferBytes = bufferBytes;
    this.#accept = accept;
    claimFifo(paths.door, mode);
    this.#fd = mustOpen(openReader(paths.door), paths.door);
    // Without a writer of our own, reading would end with each sender that closes.
    this.#keepAlive = mustOpen(openWriter(paths.door), paths.door);
    this.#socket = readingSocket(this.#fd);
    this.#socket.on('data', (chunk: Buffer) => {
      for (const laneId of this.#laneIds(chunk)) this.#open(laneId);
    });
  }

  setRef(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  /** From here on nobody finds the door. */
  hide(): void {
    unlinkIfThere(this.#paths.door);
  }

  /** Refuses those who came in before it was hidden, then closes. */
  close(code: GoodbyeCode): void {
    this.#socket.pause();
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    for (let count = readAvailable(this.#fd, chunk); count > 0; count = readAvailable(this.#fd, chunk)) {
      for (const laneId of this.#laneIds(Buffer.from(chunk.subarray(0, count)))) this.#refuse(laneId, code);
    }
    this.#socket.destroy();
    closeSync(this.#keepAlive);
  }

  #laneIds(chunk: Buffer): string[] {
    return this.#lines
      .push(chunk)
      .map((line) => line?.toString('latin1') ?? '')
      .filter((line) => line.startsWith(GREETING))
      .map((line) => line.slice(GREETING.length))
      .filter((id) => LANE_ID.test(id));
  }

  #open(laneId: string): void {
    const lane = lanePaths(this.#paths, laneId);
    const readFd = openReader(lane.up);
    const writeFd = openWriter(lane.down);
    removeLane(lane);
    if (readFd === undefined || writeFd === undefined) {
      for (const fd of [readFd, writeFd]) if (fd !== undefined) closeSync(fd);
      return;
    }
    resize([readFd, writeFd], this.#bufferBytes);
    this.#accept(LaneStream.ofDescriptors(readFd, writeFd));
  }

  #refuse(laneId: string, code: GoodbyeCode): void {
    const lane = lanePaths(this.#paths, laneId);
    const writeFd = openWriter(lane.down);
    removeLane(lane);
    if (writeFd === undefined) return;
    writeSync(writeFd, goodbyeFrame(code));
    closeSync(writeFd);
  }
}

/** Removes the FIFOs of senders that were killed before the listener had opened them. */
export function sweepLanes(paths: PipePaths): void {
  for (const lane of lanesInFolder(paths)) {
    const writeFd = openWriter(lane.down);
    // A living sender has its end open. One that is about to open it tries again with a new lane.
    if (writeFd === undefined) removeLane(lane);
    else closeSync(writeFd);
  }
}

/** The lanes of this pipe that have a file. */
export function lanesInFolder(paths: PipePaths): LanePaths[] {
  const ids = new Set<string>();
  for (const file of readdirSync(dirname(paths.data))) {
    const id = laneOfFile(paths, file);
    if (id !== undefined) ids.add(id);
  }
  return [...ids].map((id) => lanePaths(paths, id));
}

/** The sender's side: undefined when no listener of ours is there. */
export function knock(paths: PipePaths): NewLane | undefined {
  const door = openWriter(paths.door);
  if (door === undefined) return undefined;
  const held: number[] = [door];
  const lane = lanePaths(paths, randomBytes(16).toString('hex'));
  const forgetExit = onExit(() => removeLane(lane));
  const settle = (): void => {
    forgetExit();
    for (const fd of held.splice(0)) closeSync(fd);
    removeLane(lane);
  };
  let stream: LaneStream | undefined;
  try {
    stream = openLane(lane, lstatSync(paths.door).mode & 0o666, held);
    if (stream === undefined) {
      settle();
      return undefined;
    }
    writeSync(door, `${GREETING}${lane.up.slice(-35, -3)}\n`);
    const isListenerThere = (): boolean => isSameFile(paths.door, door) && native().hasReaders(door) === 1;
    return { stream, isListenerThere, failure: () => undefined, settle };
  } catch (thrown) {
    stream?.destroy();
    settle();
    const errno = errnoOf(thrown);
    // EPIPE and ENOENT: the listener closed meanwhile. EAGAIN: more senders knock than it can open doors for.
    if (errno === 'EPIPE' || errno === 'ENOENT' || errno === 'EAGAIN') return undefined;
    throw thrown;
  }
}

function openLane(lane: LanePaths, mode: number, held: number[]): LaneStream | undefined {
  for (const path of [lane.up, lane.down]) claimFifo(path, mode);
  // A FIFO opens for writing only when a reader is there: for the moment that is ourselves.
  const upReader = openReader(lane.up);
  if (upReader === undefined) return undefined;
  held.push(upReader);
  const up = openWriter(lane.up);
  const down = openReader(lane.down);
  if (up !== undefined && down !== undefined) return LaneStream.ofDescriptors(down, up);
  for (const fd of [up, down]) if (fd !== undefined) closeSync(fd);
  return undefined;
}

export function removeLane(lane: LanePaths): void {
  unlinkIfThere(lane.up);
  unlinkIfThere(lane.down);
}

function mustOpen(fd: number | undefined, path: string): number {
  if (fd === undefined) throw failure(-2, 'open', path);
  return fd;
}

/** More than the kernel grants is no failure: the pipe then stays as it is. */
export function resize(fds: readonly number[], bytes: number): void {
  if (bytes > 0) for (const fd of fds) native().setPipeSize(fd, bytes);
}

/** Reads what is there; 0 when there is nothing. */
export function readAvailable(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (thrown) {
    if (errnoOf(thrown) === 'EAGAIN') return 0;
    throw thrown;
  }
}
