// Starting members, waiting for what they say, and ending them.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { endsWithUs, passOn, stop } from '../support/child-process.ts';
import type { MemberTask } from './member.ts';

const MEMBER = fileURLToPath(new URL('./member.js', import.meta.url));

/** Where the files of channels lie. */
const FOLDER = folderOfChannels();
function folderOfChannels(): string {
  if (process.platform === 'win32') return join(process.env['LOCALAPPDATA'] ?? '', 'isthmus');
  if (process.platform !== 'darwin') return '/dev/shm';
  return join(execFileSync('getconf', ['DARWIN_USER_CACHE_DIR'], { encoding: 'utf8' }).trim(), 'isthmus');
}

export class Member {
  readonly child: ChildProcess;
  readonly #lines: Record<string, unknown>[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(task: MemberTask) {
    this.child = endsWithUs(spawn(process.execPath, [MEMBER, JSON.stringify(task)]));
    passOn(this.child);
    if (this.child.stdout) {
      createInterface({ input: this.child.stdout }).on('line', (line) => {
        this.#lines.push(JSON.parse(line) as Record<string, unknown>);
        this.#wake?.();
      });
    }
    this.child.once('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** The value of the first line that has this key. */
  async says(key: string): Promise<unknown> {
    for (;;) {
      const line = this.#lines.find((candidate) => key in candidate);
      if (line) return line[key];
      if (this.#ended) throw new Error(`the member ended without saying ${key}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Stops it, and returns when it does nothing any more. */
  stop(): Promise<void> {
    return stop(this.child);
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#ended) return;
    const closed = once(this.child, 'close');
    this.child.kill(signal);
    await closed;
  }
  /** Waits for it to end by itself. */
  async ended(): Promise<void> {
    if (!this.#ended) await once(this.child, 'close');
  }
}

export async function startMembers(tasks: readonly MemberTask[]): Promise<Member[]> {
  const members = tasks.map((task) => new Member(task));
  await Promise.all(members.map((member) => member.says('ready')));
  return members;
}

export function uniqueName(what: string): string {
  return `test.${what}.${randomUUID()}`;
}

/**
 * Waits until the channel has left nothing. Somebody else who tidies up at the same moment (a test beside this
 * one) may be the one who removes the file, a moment after the last has left; it has a minute for that.
 */
export async function nothingLeft(name: string): Promise<void> {
  for (const end = Date.now() + 60_000; leftovers(name).length > 0; await sleep(2))
    assert.ok(Date.now() < end, `left: ${leftovers(name).join(', ')}`);
}

/** Files of the channel that are left. */
export function leftovers(name: string): string[] {
  return readdirSync(FOLDER).filter((file) => file.includes(name));
}
