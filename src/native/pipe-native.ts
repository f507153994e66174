// The functions of native/addon/pipe.cc. Each gives 0 (or what it is asked for), or the negative errno.

export interface PipeNative {
  /** Makes a FIFO; `mode` is subject to the umask. */
  mkfifo(path: string, mode: number): number;
  /** Takes an exclusive lock on the open file without waiting; closing the descriptor gives it back. */
  tryLock(fd: number): number;
  /** Bytes that were written to the pipe and not yet read; asked at a reading end. */
  bytesQueued(fd: number): number;
  /** 1 when somebody has the pipe open for reading, else 0; asked at a writing end. */
  hasReaders(fd: number): number;
  /** Asks the kernel for a pipe of this size and gives the size that it granted. */
  setPipeSize(fd: number, bytes: number): number;
  /** Writes what the pipe takes at once, and gives how many bytes that were. */
  writeNow(fd: number, bytes: Uint8Array): number;
  /** Reads what comes within so many microseconds: how many bytes, 0 at the end of the file, `-EAGAIN` when nothing came. */
  readNow(fd: number, into: Uint8Array, micros: number): number;
}
