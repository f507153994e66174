// The few things that both ends do with FIFO files. Every open here is O_NONBLOCK: a blocking one would
// hold one of the four threads of libuv's pool until the other side comes.

import { chmodSync, closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { loadBinding } from '../native/binding.ts';
import type { PipeNative } from '../native/pipe-native.ts';
import { errnoOf, PipeError, systemError } from './errors.ts';

export function native(): PipeNative {
  return loadBinding().pipe;
}

/** The errno name of a negative result of the addon. */
export function nameOfErrno(result: number): string {
  return getSystemErrorName(result);
}

/** Throws the failure of a native call in the shape that `node:fs` uses. */
export function failure(result: number, action: string, path: string): PipeError {
  const errno = nameOfErrno(result);
  return systemError(Object.assign(new Error(`${errno}: ${action}`), { code: errno }), action, path);
}

/** Makes the FIFO, or takes over the one that a killed process left; afterwards it has exactly this mode. */
export function claimFifo(path: string, mode: number): void {
  const made = native().mkfifo(path, mode);
  if (made !== 0 && nameOfErrno(made) !== 'EEXIST') throw failure(made, 'make the FIFO', path);
  const stat = lstatSync(path);
  if (!stat.isFIFO()) throw notFifo(path);
  if (stat.uid !== process.geteuid?.()) {
    throw new PipeError('NETWORK_PERMISSION', `the FIFO ${path} belongs to another user`, { details: { path } });
  }
  if ((stat.mode & 0o777) !== mode) chmodSync(path, mode);
}

/** Opens for reading without waiting for a writer. Undefined when the file is not there. */
export function openReader(path: string): number | undefined {
  return openFifo(path, constants.O_RDONLY);
}

/** Opens for writing. Undefined when the file is not there or nobody reads from it. */
export function openWriter(path: string): number | undefined {
  return openFifo(path, constants.O_WRONLY);
}

/** Whether somebody has the FIFO open for reading. Only for a FIFO whose reader does not mind writers that come and go. */
export function hasReader(path: string): boolean {
  const fd = openWriter(path);
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

function openFifo(path: string, access: number): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (thrown) {
    const errno = errnoOf(thrown);
    if (errno === 'ENOENT' || errno === 'ENXIO') return undefined;
    if (errno === 'ELOOP' || errno === 'EISDIR') throw notFifo(path);
    throw systemError(thrown, 'open', path);
  }
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw notFifo(path);
}

function notFifo(path: string): PipeError {
  return new PipeError('NETWORK_PATH_OCCUPIED', `${path} is no FIFO`, { details: { path } });
}

export function unlinkIfThere(path: string): void {
  // To ask is cheaper than to make an error, and the files of a lane are usually gone already.
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw systemError(thrown, 'remove', path);
  }
}

/** Whether the path still names the very file that the descriptor has open. */
export function isSameFile(path: string, fd: number): boolean {
  const open = fstatSync(fd);
  const named = lstatSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === open.ino && named.dev === open.dev;
}
