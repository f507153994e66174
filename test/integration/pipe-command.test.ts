// `isthmus pipe` as a command: what it prints, and how it exits.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { send } from '../../src/pipe/index.ts';
import { type Ending, run, Running } from '../cli/command-process.ts';
import { pipeFolder } from './pipe-folder.ts';
import { withoutFifos as skip } from './pipe-listening.ts';

/** A folder, and what ends before the proof that nothing is left in it: a proof that fails must not keep it alive. */
function place(t: TestContext): { readonly folder: string; readonly at: Ending } {
  const { folder, defer } = pipeFolder(t);
  return { folder, at: { after: defer } };
}

/** A `listen` on the pipe `p` of the folder, that senders find. */
async function listening(at: Ending, folder: string, flags: readonly string[] = []): Promise<Running> {
  const listener = new Running(at, ['pipe', 'listen', 'p', '--directory', folder, ...flags]);
  await listener.says('stderr', /[Ll]isten/);
  return listener;
}

test('listen prints what send sends, from its argument and from stdin, and ends as told', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--max-messages', '4', '--json']);
  const sent = [
    [['one'], ''],
    [[], 'zwei\n'],
    [['-'], 'drei 🦊'],
    [['--', '--json'], ''],
  ] as const;
  for (const [words, stdin] of sent) {
    const result = await run(at, ['pipe', 'send', '--directory', folder, 'p', ...words], { stdin });
    assert.deepEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
  }
  const { code, stdout, stderr } = await listener.ended;
  assert.deepEqual([code, stdout], [0, '"one"\n"zwei\\n"\n"drei 🦊"\n"--json"\n']);
  const { event, path } = JSON.parse(stderr) as Record<string, unknown>;
  assert.deepEqual([event, path], ['listening', join(folder, 'p')]);
});

test('where no terminal reads, a message is printed as it is; the die code ends listen', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--die-code', 'enough']);
  await send('p', 'two\nlines\u001b[31m', { directory: folder });
  await send('p', 'PIPECOM_DIE', { directory: folder });
  await send('p', 'enough', { directory: folder });
  const { code, stdout } = await listener.ended;
  assert.deepEqual([code, stdout], [0, 'two\nlines\u001b[31m\nPIPECOM_DIE\n']);
});

test('listen --timeout ends when no message comes', { skip }, async (t) => {
  const { folder, at } = place(t);
  const { code, stdout } = await run(at, ['pipe', 'listen', 'p', '--directory', folder, '--timeout', '1']);
  assert.deepEqual([code, stdout], [0, '']);
});

test('listen --mode says who may send', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--mode', '640']);
  assert.equal(statSync(join(folder, 'p')).mode & 0o777, 0o640);
  assert.equal((await listener.stop('SIGTERM')).code, 143);
});

test('listen --exec gives each message to the command, whose exit code decides', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--exec', 'grep good']);
  await send('p', 'good one', { directory: folder });
  const { code, stdout, stderr } = await run(at, ['pipe', 'send', 'p', 'bad one', '--directory', folder]);
  assert.deepEqual([code, stdout, stderr], [1, '', 'isthmus pipe: the command exited with 1\n']);
  await send('p', 'PIPECOM_DIE', { directory: folder });
  const result = await listener.ended;
  assert.deepEqual([result.code, result.stdout], [0, 'good one\n']);
});

test('send --id is processed once', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder);
  for (const message of ['first', 'again']) {
    const { code } = await run(at, ['pipe', 'send', 'p', message, '--id', 'seven', '--directory', folder]);
    assert.equal(code, 0);
  }
  await send('p', 'PIPECOM_DIE', { directory: folder });
  assert.equal((await listener.ended).stdout, 'first\n');
});

test('send --attempts 0 waits for a listener', { skip }, async (t) => {
  const { folder, at } = place(t);
  const early = new Running(at, ['pipe', 'send', 'p', 'early', '--attempts', '0', '--directory', folder]);
  const listener = await listening(at, folder, ['-n', '1']);
  assert.equal((await early.ended).code, 0);
  assert.equal((await listener.ended).stdout, 'early\n');
});

test('an interrupted listener takes its files away and exits with 130, without a word', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder);
  const { code, stdout, stderr } = await listener.stop('SIGINT');
  assert.deepEqual([code, stdout], [130, '']);
  assert.match(stderr, /^Listens on [^\n]+\n$/);
});

/** A shell's condition: its parent, the listener that runs the command, is there. A command never outlives it. */
const HAS_LISTENER = 'kill -0 $PPID';
/** Tells which process it is, and goes on until a signal ends it. */
const ENDLESS = `echo $$; while ${HAS_LISTENER}; do sleep 0.05; done`;

test('an interrupted listener refuses what waits, answers what is being processed, and exits with 130', {
  skip,
}, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--exec', ENDLESS]);
  const failed = assert.rejects(send('p', 'first', { directory: folder }), {
    code: 'REMOTE_HANDLER_FAILED',
    message: 'the command was ended by SIGTERM',
  });
  const refused = assert.rejects(send('p', 'second', { directory: folder }), { code: 'REMOTE_CLOSED' });
  const [, pid] = await listener.says('stdout', /(\d+)\n/);
  listener.child.kill('SIGINT');
  // Only now the listener is known to have had the signal.
  await refused;
  process.kill(Number(pid), 'SIGTERM');
  await failed;
  assert.equal((await listener.ended).code, 130);
});

test('a listener that is interrupted during its last message finishes it and exits with 130', { skip }, async (t) => {
  const { folder, at } = place(t);
  const go = join(folder, 'go');
  // Ends well once the file is there. Before it has the message, its listener may still be at starting it, and then
  // hears of a signal only later.
  const listener = await listening(at, folder, [
    '-n',
    '1',
    '--exec',
    `cat >/dev/null; echo begun; while [ ! -e '${go}' ] && ${HAS_LISTENER}; do sleep 0.01; done`,
  ]);
  const sent = send('p', 'last', { directory: folder });
  await listener.says('stdout', /begun\n/);
  listener.child.kill('SIGINT');
  writeFileSync(go, '');
  assert.equal(await sent, true);
  assert.equal((await listener.ended).code, 130);
  rmSync(go);
});

test('bytes that are no UTF-8 go as they are: from stdin to the command, as base64 with --json', {
  skip,
}, async (t) => {
  const { folder, at } = place(t);
  const bytes = Buffer.from([0, 255, 128, 10, 13, 254]);
  const got = join(folder, 'got');
  for (const [flags, expected] of [
    [['--json'], `${JSON.stringify({ base64: bytes.toString('base64') })}\n`],
    [['--exec', `cat > '${got}'`], ''],
    [[`--exec=cat > '${got}'; od -An -tx1 < '${got}'`], ' 00 ff 80 0a 0d fe\n'],
  ] as const) {
    const listener = await listening(at, folder, ['-n', '1', ...flags]);
    const sent = await run(at, ['pipe', 'send', '--directory', folder, 'p'], { stdin: bytes });
    assert.deepEqual([sent.code, sent.stderr], [0, '']);
    assert.equal((await listener.ended).stdout, expected);
  }
  assert.deepEqual(readFileSync(got), bytes);
  rmSync(got);
});

test('16 MiB and nothing at all are messages, too', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['-n', '3', '--exec', 'wc -c']);
  const long = Buffer.alloc(16 * 1024 * 1024, 'x');
  for (const [words, stdin] of [
    [[], long],
    [[], ''],
    [[''], ''],
  ] as const) {
    const sent = await run(at, ['pipe', 'send', '--directory', folder, 'p', ...words], { stdin });
    assert.deepEqual([sent.code, sent.stderr], [0, '']);
  }
  assert.deepEqual((await listener.ended).stdout.split(/\s+/).filter(Boolean), [`${long.length}`, '0', '0']);
});

test('a send that is interrupted while it waits for its acknowledgement exits with 130', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder, ['--exec', ENDLESS]);
  const waiting = new Running(at, ['pipe', 'send', 'p', 'x', '--directory', folder]);
  const [, pid] = await listener.says('stdout', /(\d+)\n/);
  assert.deepEqual(await waiting.stop('SIGINT'), { code: 130, signal: null, stdout: '', stderr: '' });
  process.kill(Number(pid), 'SIGTERM');
  assert.equal((await listener.stop('SIGINT')).code, 130);
});

test('a send that is interrupted while it reads stdin exits with 130', { skip }, async (t) => {
  const { folder, at } = place(t);
  const reading = new Running(at, ['pipe', 'send', 'p', '--directory', folder]);
  // More than the system holds: when it is written, the command reads.
  await new Promise((resolve) => reading.child.stdin.write('x'.repeat(2 ** 22), resolve));
  assert.deepEqual(await reading.stop('SIGINT'), { code: 130, signal: null, stdout: '', stderr: '' });
});

test('a listener whose reader has gone acknowledges nothing more and ends quietly', { skip }, async (t) => {
  const { folder, at } = place(t);
  const listener = await listening(at, folder);
  await send('p', 'read', { directory: folder });
  await listener.says('stdout', /read\n/);
  await once(listener.child.stdout.destroy(), 'close');
  await assert.rejects(send('p', 'unread', { directory: folder }), {
    code: 'REMOTE_HANDLER_FAILED',
    message: 'the output could not be written',
  });
  const { code, stderr } = await listener.ended;
  assert.equal(code, 0);
  assert.match(stderr, /^Listens on [^\n]+\n$/);
});

test('a send that nobody takes, and a second listener, exit with 1 and one line', { skip }, async (t) => {
  const { folder, at } = place(t);
  const nobody = await run(at, ['pipe', 'send', 'p', 'x', '--directory', folder]);
  assert.deepEqual([nobody.code, nobody.stdout], [1, '']);
  assert.match(
    nobody.stderr,
    /^isthmus pipe: nobody listens on [^\n]+; start one with '[^\n]+ pipe listen p', [^\n]+\n$/,
  );
  const listener = await listening(at, folder);
  const second = await run(at, ['pipe', 'listen', 'p', '--directory', folder]);
  assert.deepEqual([second.code, second.stdout], [1, '']);
  assert.match(second.stderr, /^isthmus pipe: somebody listens on [^\n]+\n$/);
  await listener.stop('SIGINT');
});

const WRONG: readonly (readonly [args: readonly string[], said: RegExp])[] = [
  [[], /listen\|send is missing/],
  [['listen'], /NAME is missing/],
  [['dance', 'p'], /'dance' is none of listen, send/],
  [['lisen', 'p'], /did you mean listen\?/],
  [['listen', 'p', 'x'], /unexpected 'x'; listen takes no message/],
  [['send', 'p', 'x', 'y'], /unexpected 'y'; a message of several words is quoted/],
  [['send', ''], /name/],
  [['listen', 'p', '--mode', '9'], /--mode: expected three octal digits, got '9'/],
  [['send', 'p', 'x', '--timeout', 'soon'], /--timeout: expected an integer from 0 to 2147483647, got 'soon'/],
  [['send', 'p', 'x', '--id', 'x'.repeat(256)], /id/],
  [['--frob'], /unknown flag --frob/],
  ...['--exec=y', '--max-messages=1', '--die-code=y', '--mode=600'].map(
    (flag) => [['send', 'p', 'x', flag], /--[a-z-]+ is of listen, not of send/] as const,
  ),
  ...['--attempts=1', '--id=y'].map((flag) => [['listen', 'p', flag], /--[a-z]+ is of send, not of listen/] as const),
];

for (const [args, said] of WRONG) {
  test(`isthmus pipe ${args.join(' ').slice(0, 40)} is refused in one line with exit code 2`, { skip }, async (t) => {
    const { code, stdout, stderr } = await run(t, ['pipe', ...args]);
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, /^isthmus pipe: [^\n]+\n$/);
    assert.match(stderr, said);
  });
}
