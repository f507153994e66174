// Runs a program with everything that it starts as one group, so that nothing of it outlives the run: neither a
// child that hangs, nor one that its parent forgot.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** So long a process that was told to end may take to be gone. */
const GRACE_MS = 5000;

/**
 * The processes of a group that still run, each as `pid name`. Only Linux tells; elsewhere there are none.
 * @param {number} group
 */
export function processesOf(group) {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      // proc(5): pid (comm) state ppid pgrp …; the name may hold anything, so the last bracket counts.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(pgrp) !== group || state === 'Z' || state === 'X') return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`];
    } catch {
      return []; // It has ended meanwhile.
    }
  });
}

/**
 * Runs a program and gives its exit code: 1 when it took longer than `timeoutMs`, and also when it left processes
 * behind. Those are named, and ended. It has the terminal of this one, or writes into the file `output`: a pipe
 * would be open for as long as anybody holds it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, timeoutMs: number, say?: (text: string) => void, output?: number }} options
 * @returns {Promise<number>}
 */
export async function runGroup(command, args, { cwd, timeoutMs, say = console.error, output }) {
  const detached = process.platform !== 'win32';
  /** @type {import('node:child_process').StdioOptions} */
  const stdio = output === undefined ? 'inherit' : ['ignore', output, output];
  const child = spawn(command, args, { cwd, stdio, detached });
  const group = child.pid ?? 0;
  const end = (/** @type {NodeJS.Signals} */ signal) => {
    try {
      if (group !== 0) process.kill(detached ? -group : group, signal);
    } catch {
      // Nobody is left.
    }
  };
  /** A terminal tells only the group in front, and that is this one. */
  const interrupted = (/** @type {NodeJS.Signals} */ signal) => {
    end('SIGKILL');
    process.kill(process.pid, signal);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted).once('SIGHUP', interrupted);
  const timer = setTimeout(() => {
    say(`\nnot at its end after ${timeoutMs / 60_000} min; still running, and ended now:`);
    for (const line of processesOf(group)) say(`  ${line}`);
    end('SIGKILL');
  }, timeoutMs);
  try {
    /** @type {number | null} */
    const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    for (const from = Date.now(); processesOf(group).length > 0 && Date.now() - from < GRACE_MS; ) await sleep(50);
    const left = processesOf(group);
    if (left.length > 0) say(`\nleft running, and ended now:\n${left.map((line) => `  ${line}`).join('\n')}`);
    end('SIGKILL');
    return left.length > 0 ? code || 1 : (code ?? 1);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted).off('SIGHUP', interrupted);
  }
}
