// A folder of its own for each test of named pipes, and the proof at its end that nothing is left: no FIFO,
// no lock file, no descriptor, no thread of libuv's pool that waits in a pipe.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';

/** Where a thread of Linux sleeps that opens a FIFO without its other end, or reads or writes one. */
const WAITS_IN_PIPE = /wait_for_partner|fifo_open|pipe_(read|write|wait)/;

export interface PipeFolder {
  readonly folder: string;
  /** Has something closed before the proof; what came last is closed first. */
  readonly defer: (close: () => unknown) => void;
}

/** Makes the folder; when the test has ended, proves that nothing was left and removes it. */
export function pipeFolder(t: TestContext): PipeFolder {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-pipe-'));
  const deferred: (() => unknown)[] = [];
  t.after(async () => {
    try {
      for (const close of deferred.reverse()) await close();
      await untilClosed(folder);
      assert.deepEqual(readdirSync(folder), [], 'files left');
      assert.deepEqual(openDescriptors(folder), [], 'descriptors left');
      assert.deepEqual(waitingThreads(), [], 'threads left');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  return { folder, defer: (close) => void deferred.push(close) };
}

/** `send` keeps its lane for a moment; what is open much longer is left for ever. */
export async function untilClosed(folder: string): Promise<void> {
  for (let looks = 0; looks < 500 && openDescriptors(folder).length > 0; looks++) await sleep(10);
}

/** What this process has open below the folder, deleted files included. */
export function openDescriptors(folder: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => linkTarget(`/proc/self/fd/${fd}`))
    .filter((target) => target.startsWith(folder));
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function waitingThreads(): string[] {
  return readdirSync('/proc/self/task')
    .map((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/wchan`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((place) => WAITS_IN_PIPE.test(place));
}
