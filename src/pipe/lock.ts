// One lock file for each pipe name, for those who must be alone: a listener for as long as it lives, and a
// sender of ours for one exchange with a listener of the original package. The lock is the kernel's, so a
// killed holder leaves a file but no lock.

import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { systemError } from './errors.ts';
import { onExit } from '../native/exit-duty.ts';
import { failure, isSameFile, nameOfErrno, native, unlinkIfThere } from './fifo.ts';

export class NameLock {
  readonly #path: string;
  readonly #fd: number;
  /** The holder before us was killed, or gave up, in the middle of an exchange: its answer may still come. */
  readonly wasUnsettled: boolean;
  readonly #forgetExit: () => void;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
    this.wasUnsettled = this.#isUnsettled();
    this.#forgetExit = onExit(() => this.release(this.isInPlace() && !this.#isUnsettled()));
  }

  #isUnsettled(): boolean {
    return fstatSync(this.#fd).size > 0;
  }

  /** From here on an answer is owed to us. The file says so, for whoever comes after us. */
  markUnsettled(): void {
    writeSync(this.#fd, '!', 0);
  }

  markSettled(): void {
    ftruncateSync(this.#fd, 0);
  }

  /** Whether the path still names the file that is locked. */
  isInPlace(): boolean {
    return isSameFile(this.#path, this.#fd);
  }

  /** Gives the lock back. Only when `settled` does the file go: else it tells the next one what happened. */
  release(settled: boolean): void {
    this.#forgetExit();
    // Removed while still locked: whoever opened it meanwhile sees that the path names it no longer.
    if (settled) unlinkIfThere(this.#path);
    closeSync(this.#fd);
  }
}

/** The lock, or undefined when somebody has it. */
export function tryLock(path: string, mode: number): NameLock | undefined {
  for (;;) {
    const fd = openLockFile(path, mode);
    const result = native().tryLock(fd);
    if (result === 0 && isSameFile(path, fd)) return new NameLock(path, fd);
    closeSync(fd);
    if (result === 0) continue;
    const errno = nameOfErrno(result);
    if (errno === 'EAGAIN' || errno === 'EWOULDBLOCK') return undefined;
    throw failure(result, 'lock', path);
  }
}

function openLockFile(path: string, mode: number): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, mode);
  } catch (thrown) {
    throw systemError(thrown, 'open the lock file', path);
  }
}
