// From the name of a pipe to the place where it is found. `docs/pipe.md#files` draws the files of POSIX.

import { resolve } from 'node:path';
import { PipeError } from './errors.ts';
import { system } from './system.ts';

/** Where a pipe is found: FIFOs on POSIX, addresses of sockets on Windows. */
export type PipePlace = PipePaths | PipeAddress;

/** The files of one pipe. */
export interface PipePaths {
  readonly kind: 'fifo';
  readonly name: string;
  /** The FIFO that takes lines in the format of the original package. */
  readonly data: string;
  /** The FIFO that carries its acknowledgements. */
  readonly ack: string;
  /** Our own door: senders of ours announce themselves here. */
  readonly door: string;
  /** Held by the listener, or by a sender of ours that speaks with a listener of the original package. */
  readonly lock: string;
}

/** The addresses of one pipe where the system's own pipes are duplex and made by connecting. */
export interface PipeAddress {
  readonly kind: 'socket';
  readonly name: string;
  /** Where a listener of the original package is found. */
  readonly data: string;
  /** Where one of ours is. */
  readonly door: string;
}

/** The two FIFOs of one sender; they have names only while the two ends find each other. */
export interface LanePaths {
  readonly up: string;
  readonly down: string;
}

/** The longest suffix is `_<32 hex digits>_down`, and 255 bytes is what file systems take. */
const MAX_FILE_NAME_BYTES = 255 - '_down'.length - 33;
/** Windows takes 256 characters, `\\.\pipe\` among them. */
const MAX_ADDRESS_CHARS = 256 - 9 - '_isthmus'.length;
const LANE_FILE = /_([0-9a-f]{32})_(?:up|down)$/;
export const LANE_ID = /^[0-9a-f]{32}$/;

/**
 * Where the pipe of this name is found; `directory` counts for files only.
 *
 * @throws PipeError `USAGE_INVALID_NAME` when the name is empty, blank, too long or holds a NUL; on Windows,
 * a slash or a backslash too
 */
export function pipePlace(name: unknown, directory: string): PipePlace {
  if (typeof name !== 'string' || name.trim() === '') throw invalidName(name, 'a name that is not empty or blank');
  if (name.includes('\0')) throw invalidName(name, 'a name without NUL');
  return system.addressOf === undefined ? pipePaths(name, directory) : pipeAddress(name, system.addressOf);
}

/** @throws PipeError `USAGE_INVALID_NAME` */
export function pipePaths(name: string, directory: string): PipePaths {
  if (name.endsWith('/')) throw invalidName(name, 'a name that does not end in a slash');
  const data = resolve(directory, name);
  const file = data.slice(data.lastIndexOf('/') + 1);
  if (Buffer.byteLength(file) > MAX_FILE_NAME_BYTES) {
    throw invalidName(name, `a name of at most ${MAX_FILE_NAME_BYTES} bytes`);
  }
  return { kind: 'fifo', name, data, ack: `${data}_ack`, door: `${data}_isthmus`, lock: `${data}_lock` };
}

function pipeAddress(name: string, addressOf: (name: string) => string): PipeAddress {
  if (/[\\/]/.test(name)) throw invalidName(name, 'a name without slash and backslash');
  if (name.length > MAX_ADDRESS_CHARS) throw invalidName(name, `a name of at most ${MAX_ADDRESS_CHARS} characters`);
  return { kind: 'socket', name, data: addressOf(name), door: addressOf(`${name}_isthmus`) };
}

export function lanePaths(pipe: PipePaths, laneId: string): LanePaths {
  return { up: `${pipe.data}_${laneId}_up`, down: `${pipe.data}_${laneId}_down` };
}

/** The lane that a file of the pipe's directory belongs to, if it is one of this pipe. */
export function laneOfFile(pipe: PipePaths, file: string): string | undefined {
  const match = LANE_FILE.exec(file);
  const own = pipe.data.slice(pipe.data.lastIndexOf('/') + 1);
  return match !== null && file.slice(0, match.index) === own ? match[1] : undefined;
}

function invalidName(name: unknown, expected: string): PipeError {
  return new PipeError('USAGE_INVALID_NAME', `pipe name: expected ${expected}`, { details: { name, expected } });
}
