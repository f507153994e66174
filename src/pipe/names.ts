// From the name of a pipe to the files that belong to it. `docs/pipe.md#files` draws them.

import { resolve } from 'node:path';
import { PipeError } from './errors.ts';

/** The files of one pipe. */
export interface PipePaths {
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

/** The two FIFOs of one sender; they have names only while the two ends find each other. */
export interface LanePaths {
  readonly up: string;
  readonly down: string;
}

/** The longest suffix is `_<32 hex digits>_down`, and 255 bytes is what file systems take. */
const MAX_FILE_NAME_BYTES = 255 - '_down'.length - 33;
const LANE_FILE = /_([0-9a-f]{32})_(?:up|down)$/;
export const LANE_ID = /^[0-9a-f]{32}$/;

/**
 * @throws PipeError `USAGE_INVALID_NAME` when the name is empty, blank, too long or holds a NUL ·
 * `SYSTEM_NO_ADDON` on Windows
 */
export function pipePaths(name: unknown, directory: string): PipePaths {
  if (typeof name !== 'string' || name.trim() === '') throw invalidName(name, 'a name that is not empty or blank');
  if (name.includes('\0')) throw invalidName(name, 'a name without NUL');
  if (name.endsWith('/')) throw invalidName(name, 'a name that does not end in a slash');
  if (process.platform === 'win32') {
    throw new PipeError('SYSTEM_NO_ADDON', 'there are no FIFOs on Windows', { details: { name } });
  }
  const data = resolve(directory, name);
  const file = data.slice(data.lastIndexOf('/') + 1);
  if (Buffer.byteLength(file) > MAX_FILE_NAME_BYTES) {
    throw invalidName(name, `a name of at most ${MAX_FILE_NAME_BYTES} bytes`);
  }
  return { name, data, ack: `${data}_ack`, door: `${data}_isthmus`, lock: `${data}_lock` };
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
