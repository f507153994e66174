// Processes that a test starts end with it, however it ends: one that is left behind keeps a run from ending.

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const living = new Set<ChildProcess>();

process.on('exit', () => {
  // Those that are stopped as well, which notice nothing by themselves.
  for (const child of living) child.kill('SIGKILL');
});

/** Ends the process when this one does. */
export function endsWithUs<C extends ChildProcess>(child: C): C {
  living.add(child);
  child.once('close', () => living.delete(child));
  return child;
}

/** Passes on what it complains about. Its `stderr` must be piped, not ours: whoever reads ours would wait for it. */
export function passOn(child: ChildProcess): void {
  child.stderr?.on('data', (chunk: Buffer) => process.stderr.write(chunk));
}

/** Stops the process, and returns when none of its threads runs: a signal is sent sooner than it is taken. */
export async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP');
  while (process.platform === 'linux' && !isStopped(child.pid)) await sleep(1);
}

/** Also where it has ended. */
function isStopped(pid: number | undefined): boolean {
  try {
    // proc(5): the name, in brackets, may hold anything; the state follows.
    return /\) [TZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}
