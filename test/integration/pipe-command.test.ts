// `isthmus pipe` as a command: what it prints, and how it exits.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { send } from '../../src/pipe/index.ts';
import { pipeFolder } from './pipe-folder.ts';
import { withoutFifos as skip } from './pipe-listening.ts';

const COMMAND = new URL('../../src/cli/pipe.js', import.meta.url).href;
const RUN = `import { pipeCommand } from '${COMMAND}'; process.exitCode = await pipeCommand.run(process.argv.slice(1));`;

function start(args: readonly string[], input = ''): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', RUN, '--', ...args], { stdio: 'pipe' });
  child.stdin?.end(input);
  return child;
}

async function run(args: readonly string[], input?: string): Promise<{ code: unknown; out: string; err: string }> {
  const child = start(args, input);
  assert.ok(child.stdout !== null && child.stderr !== null);
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, out, err };
}

/** A `listen` that is ready; `result` gives what it printed and its exit code. */
async function listening(args: readonly string[]) {
  const child = start(args);
  assert.ok(child.stdout !== null && child.stderr !== null);
  const out = text(child.stdout);
  const closed = once(child, 'close');
  await once(child.stderr, 'data');
  child.stderr.resume();
  const result = async () => {
    await closed;
    return { out: await out, code: child.exitCode };
  };
  return { child, result };
}

test('listen prints what send sends, from its argument and from standard input, and ends as told', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const where = ['--directory', folder];
  const { result } = await listening(['listen', 'p', ...where, '--max-messages', '3', '--json']);
  for (const [args, input] of [[['one']], [[], 'zwei\n'], [['-'], 'drei 🦊']] as const) {
    assert.deepEqual(await run(['send', 'p', ...args, ...where], input), { code: 0, out: '', err: '' });
  }
  assert.deepEqual(await result(), { code: 0, out: '"one"\n"zwei\\n"\n"drei 🦊"\n' });
});

test('listen --exec gives each message to the command, whose exit code decides', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const { result } = await listening(['listen', 'p', '--directory', folder, '--exec', 'grep good']);
  await send('p', 'good one', { directory: folder });
  await assert.rejects(send('p', 'bad one', { directory: folder }), {
    code: 'REMOTE_HANDLER_FAILED',
    message: 'the command exited with 1',
  });
  await send('p', 'PIPECOM_DIE', { directory: folder });
  assert.deepEqual(await result(), { code: 0, out: 'good one\n' });
});

test('an interrupted listener takes its files away and exits with 130', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const { child, result } = await listening(['listen', 'p', '--directory', folder]);
  child.kill('SIGINT');
  assert.equal((await result()).code, 130);
});

test('a send that fails exits with 1 and one line', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const { code, out, err } = await run(['send', 'nobody', 'x', '--directory', folder]);
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /^isthmus pipe: nobody listens on .+\n$/);
});

test('wrong usage exits with 2 and one line', { skip }, async () => {
  const wrong = [
    [],
    ['listen'],
    ['dance', 'p'],
    ['send', 'p', 'x', '--exec', 'y'],
    ['listen', 'p', 'x'],
    ['send', '', 'x'],
  ];
  for (const args of [...wrong, ['send', 'p', 'x', '--timeout', 'soon'], ['listen', 'p', '--mode', '9'], ['--frob']]) {
    const { code, err } = await run(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(err, /^isthmus pipe: [^\n]+\n$/);
  }
});
