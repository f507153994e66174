// Runs the compiled command as a user's shell does, and waits for its lines.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { endsWithUs } from '../support/child-process.ts';

/** The tests run from the root of the project; the command is the one that is published. */
export const ROOT = process.cwd();
export const COMMAND = join(ROOT, 'dist', 'cli', 'main.js');

type Environment = Readonly<Record<string, string>>;

interface RunOptions {
  readonly env?: Environment;
  readonly cwd?: string;
  /** What is piped in; nothing by default. */
  readonly stdin?: string | Uint8Array;
}

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of the tests without what a developer may have set for himself. */
function cleanEnvironment(extra: Environment | undefined): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:IPC_|ISTHMUS_|NODE_|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  return { ...Object.fromEntries(inherited), ...extra };
}

/** A test, or what else runs these when it ends. */
export interface Ending {
  after(close: () => unknown): void;
}

/** A command that runs. It is killed when the test ends, should it still run. */
export class Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Result>;
  readonly #text = { stdout: '', stderr: '' };
  readonly #watchers = new Set<() => void>();

  constructor(context: Ending, args: readonly string[], options: RunOptions = {}) {
    this.child = endsWithUs(
      spawn(process.execPath, [COMMAND, ...args], {
        env: cleanEnvironment(options.env),
        cwd: options.cwd ?? temporaryFolder(context),
      }),
    );
    const { stdout, stderr, stdin } = this.child;
    for (const [name, stream] of [
      ['stdout', stdout],
      ['stderr', stderr],
    ] as const) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this.#text[name] += chunk;
        for (const watcher of this.#watchers) watcher();
      });
    }
    // A command that fails at once does not read what is piped in.
    stdin.on('error', () => {});
    if (options.stdin !== undefined) stdin.end(options.stdin);
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        resolve({ code, signal, ...this.#text });
        for (const watcher of this.#watchers) watcher();
      });
    });
    context.after(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  get stdout(): string {
    return this.#text.stdout;
  }

  get stderr(): string {
    return this.#text.stderr;
  }

  /** Resolves with the match once the stream has said it; rejects when the command ends without. */
  async says(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
    const found = await new Promise<RegExpExecArray | undefined>((resolve) => {
      const look = (): void => {
        const match = pattern.exec(this.#text[stream]);
        if (match === null) return;
        this.#watchers.delete(look);
        resolve(match);
      };
      this.#watchers.add(look);
      look();
      void this.ended.then(() => resolve(undefined));
    });
    if (found !== undefined) return found;
    throw new Error(`ended without saying ${pattern} on ${stream}:\n${this.stdout}${this.stderr}`);
  }

  /** Sends a signal and gives how the command ended. */
  stop(signal: NodeJS.Signals): Promise<Result> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** Runs a command to its end. */
export function run(context: Ending, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Running(context, args, { stdin: '', ...options }).ended;
}

export function temporaryFolder(context: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A server on a socket of its own; `at` are the flags with which others reach it. */
export async function startServer(
  context: TestContext,
  flags: readonly string[] = [],
  options: RunOptions = {},
): Promise<{ readonly server: Running; readonly at: readonly string[]; readonly path: string }> {
  const path = join(temporaryFolder(context), 's');
  const server = new Running(context, ['serve', '--path', path, ...flags], options);
  await server.says('stderr', /listen/);
  return { server, at: ['--path', path], path };
}

/** A subscriber that is subscribed. */
export async function startSubscriber(context: TestContext, args: readonly string[]): Promise<Running> {
  const subscriber = new Running(context, ['sub', ...args]);
  await subscriber.says('stderr', /[Ss]ubscribed/);
  return subscriber;
}
