#!/usr/bin/env node
// The command `isthmus`: joins the process, its streams and its signals, to the table of commands.

import { readFileSync } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { type Context, Interruption } from './command.ts';
import { COMMANDS } from './commands.ts';
import { dispatch } from './dispatch.ts';
import { exitCodeOf } from './faults.ts';
import { Terminal } from './terminal.ts';

/** The first signal asks the command to end, the second does not ask. */
function watchSignals(controller: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const interruption = new Interruption(name);
      if (controller.signal.aborted) process.exit(exitCodeOf(interruption));
      controller.abort(interruption);
    });
  }
}

/** Whoever reads our output may go at any time: `isthmus sub … | head -1`. */
function watchOutput(controller: AbortController): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    controller.abort(new Interruption('output-closed'));
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

/** How the same command is called again from the same folder. */
function programName(): string {
  const called = process.argv[1] ?? '';
  if (basename(dirname(called)) === '.bin') return 'npx isthmus';
  if (basename(called).startsWith('isthmus')) return 'isthmus';
  const path = relative(process.cwd(), called);
  return `node ${path.startsWith('..') || path.includes(' ') ? `'${called}'` : path}`;
}

async function main(): Promise<void> {
  const controller = new AbortController();
  const context: Context = {
    terminal: new Terminal(process.stdout, process.stderr),
    commands: COMMANDS,
    signal: controller.signal,
    version: packageVersion(),
    program: programName(),
  };
  watchSignals(controller);
  watchOutput(controller);
  process.exitCode = await dispatch(process.argv.slice(2), context);
}

void main();
