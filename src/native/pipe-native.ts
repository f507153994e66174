// The functions of native/addon/pipe.cc. Each gives 0 (or what it is asked for), or the negative errno.

export interface PipeNative {
  /** Makes a FIFO; `mode` is subject to the umask. */
  mkfifo(path: string, mode: number): number;
}
