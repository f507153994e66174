// Messages cross from one process to another by the commands alone.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { COMMAND, run, Running, startServer, startSubscriber } from './command-process.ts';

/** A shell that is ended with everything that it started. */
function startShell(t: TestContext, line: string): ChildProcessWithoutNullStreams {
  const shell = spawn('bash', ['-c', line], { detached: true });
  t.after(() => {
    try {
      process.kill(-(shell.pid as number), 'SIGKILL');
    } catch {
      // All of them have ended.
    }
  });
  return shell;
}

test('call prints the text of the response and nothing else', async (t) => {
  const { at } = await startServer(t);
  assert.deepEqual(await run(t, ['call', ...at, 'echo', 'grüß dich']), {
    code: 0,
    signal: null,
    stdout: 'grüß dich\n',
    stderr: '',
  });
});

test('call prints each item of a streamed response on its line', async (t) => {
  const { at } = await startServer(t);
  const { code, stdout } = await run(t, ['call', ...at, 'countdown', '3']);
  assert.equal(code, 0);
  assert.equal(stdout, '3\n2\n1\n');
});

test('call --json takes JSON and prints JSON', async (t) => {
  const { at } = await startServer(t);
  const { code, stdout } = await run(t, ['call', ...at, '--json', 'echo', '{"a":[1,"x"]}']);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { a: [1, 'x'] });
});

test('call - reads the message from stdin, bytes stay bytes', async (t) => {
  const { at } = await startServer(t);
  const text = await run(t, ['call', ...at, 'echo', '-'], { stdin: 'from a pipe\n' });
  assert.equal(text.stdout, 'from a pipe\n');
  const json = await run(t, ['call', ...at, '--json', '--type', 'bytes', 'echo', '-'], {
    stdin: new Uint8Array([0, 255, 10]),
  });
  assert.deepEqual(JSON.parse(json.stdout), { base64: 'AP8K' });
});

test('call without a message does not wait for stdin', async (t) => {
  const { at } = await startServer(t);
  const call = new Running(t, ['call', ...at, 'time']);
  const { code, stdout } = await call.ended;
  assert.equal(code, 0);
  assert.ok(!Number.isNaN(Date.parse(stdout.trim())), stdout);
});

test('call that nobody handles, whose handler fails, or that is late, fails in one line', async (t) => {
  const { at } = await startServer(t);
  const cases = [
    [['nowhere'], /^isthmus call: .*nowhere/],
    [['countdown', 'many'], /^isthmus call: .*countdown takes an integer/],
    [['countdown', '0'], /^isthmus call: .*countdown takes an integer/],
  ] as const;
  for (const [words, pattern] of cases) {
    const { code, stdout, stderr } = await run(t, ['call', ...at, ...words]);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, pattern);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
  }
});

test('call gives up when nothing has answered within --timeout', async (t) => {
  const { path, at } = await startServer(t);
  const { IPCClient } = await import('../../src/client/index.ts');
  await using worker = new IPCClient('demo', { path });
  await worker.connect();
  await worker.serve('silent', () => new Promise(() => {}));
  const { code, stderr } = await run(t, ['call', ...at, '--timeout', '50', 'silent']);
  assert.equal(code, 1);
  assert.match(stderr, /no answer on silent within 50 ms; --timeout/);
  const inSeconds = await run(t, ['call', ...at, 'silent'], { env: { IPC_TIMEOUT: '0.05' } });
  assert.match(inSeconds.stderr, /within 50 ms/);
});

test('pub says how many subscriptions got the message, and sub prints it', async (t) => {
  const { at } = await startServer(t);
  const alone = await run(t, ['pub', ...at, 'news.today', 'unheard']);
  assert.equal(alone.stdout, '0 receivers\n');
  const exact = await startSubscriber(t, [...at, 'news.today', '--count', '1']);
  const wild = await startSubscriber(t, [...at, 'news.*', '-n', '1']);
  const published = await run(t, ['pub', ...at, 'news.today', 'it works']);
  assert.deepEqual([published.code, published.stdout, published.stderr], [0, '2 receivers\n', '']);
  assert.equal((await exact.ended).stdout, 'it works\n');
  const { code, stdout } = await wild.ended;
  assert.equal(code, 0);
  assert.equal(stdout, 'news.today  it works\n');
});

test('--json prints one object a line: channel, payload and timestamp from sub, channel and receivers from pub', async (t) => {
  const { at } = await startServer(t);
  const sub = await startSubscriber(t, [...at, 'orders.>', '--json', '--count', '2']);
  const published = await run(t, ['pub', ...at, '--json', 'orders.eu.new', '{"id":7}']);
  assert.deepEqual(JSON.parse(published.stdout), { channel: 'orders.eu.new', receivers: 1 });
  await run(t, ['pub', ...at, '--type', 'bytes', 'orders.raw'], { stdin: 'ab' });
  const { stdout, stderr } = await sub.ended;
  const [first, second, ...rest] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(rest.length, 0);
  const { timestamp, ...others } = first ?? {};
  assert.deepEqual(others, { channel: 'orders.eu.new', payload: { id: 7 } });
  assert.ok(Number.isInteger(timestamp));
  assert.deepEqual(second?.['payload'], { base64: 'YWI=' });
  assert.equal((JSON.parse(stderr.split('\n')[0] ?? '') as { event: string }).event, 'subscribed');
});

test('a message of several lines, or with control characters, is one line of sub', async (t) => {
  const { at } = await startServer(t);
  const sub = await startSubscriber(t, [...at, 'log', '--count', '1']);
  await run(t, ['pub', ...at, 'log'], { stdin: 'one\ntwo\u001b[31m\n' });
  assert.equal((await sub.ended).stdout, '"one\\ntwo\\u001b[31m"\n');
});

test('pub --retain keeps the message for who subscribes later', async (t) => {
  const { at } = await startServer(t);
  await run(t, ['pub', ...at, '--retain', 'state', 'ready']);
  const sub = new Running(t, ['sub', ...at, 'state', '--count', '1']);
  assert.equal((await sub.ended).stdout, 'ready\n');
});

test('applications are separate', async (t) => {
  const { at } = await startServer(t);
  await startSubscriber(t, [...at, '--app', 'one', 'x']);
  assert.equal((await run(t, ['pub', ...at, '--app', 'two', 'x', 'm'])).stdout, '0 receivers\n');
  assert.equal((await run(t, ['pub', ...at, '-a', 'one', 'x', 'm'])).stdout, '1 receiver\n');
});

test('a reader that goes away ends sub quietly: | head -1', async (t) => {
  const { at, path } = await startServer(t);
  const line = `'${process.execPath}' '${COMMAND}' sub --path '${path}' 'x' | head -1; echo "\${PIPESTATUS[0]}"`;
  const shell = startShell(t, line);
  let stdout = '';
  let stderr = '';
  shell.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  const subscribed = new Promise<void>((resolve) => {
    shell.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      if (stderr.includes('Subscribed')) resolve();
    });
  });
  const closed = once(shell, 'close');
  await subscribed;
  // The first line is read, and head ends; a later one finds nobody. Published until that has happened.
  const publishing = (async () => {
    while (shell.exitCode === null) await run(t, ['pub', ...at, 'x', 'line']);
  })();
  await closed;
  await publishing;
  assert.equal(stdout, 'line\n0\n');
  assert.doesNotMatch(stderr, /EPIPE|Error|at /);
});

test('sub comes back when the server does, and says so', async (t) => {
  const { server, at, path } = await startServer(t);
  const sub = await startSubscriber(t, [...at, 'x', '--count', '1']);
  await server.stop('SIGTERM');
  await sub.says('stderr', /Lost the server/);
  const again = new Running(t, ['serve', '--path', path]);
  await again.says('stderr', /listens on/);
  await sub.says('stderr', /Back; subscribed again/);
  await run(t, ['pub', ...at, 'x', 'after']);
  assert.equal((await sub.ended).stdout, 'after\n');
});

test('what looks like JSON and is none is sent as text with a hint; text and JSON are sent without a word', async (t) => {
  const { at } = await startServer(t);
  const cases = [
    ['{id:7}', true],
    ['[1,2', false],
    ["['a']", true],
    ['{', true],
    ['[INFO] started', false],
    ['{"id":7}', false],
    ['plain', false],
  ] as const;
  for (const [message, hinted] of cases) {
    const { code, stdout, stderr } = await run(t, ['pub', ...at, 'news', message]);
    assert.deepEqual([code, stdout], [0, '0 receivers\n']);
    assert.match(stderr, hinted ? /^It looks like JSON and is none, so it is sent as text \(.+\)\.\n$/ : /^$/, message);
    assert.equal((await run(t, ['call', ...at, 'echo', message])).stdout, `${message}\n`);
  }
  assert.equal((await run(t, ['pub', ...at, '--type', 'text', 'news', '{id:7}'])).stderr, '');
});

test('sub says how many messages the server has dropped', async (t) => {
  const { at, path } = await startServer(t);
  const sub = await startSubscriber(t, [...at, 'load', '--policy', 'drop-oldest']);
  sub.child.stdout.pause();
  const { IPCClient } = await import('../../src/client/index.ts');
  await using client = new IPCClient('demo', { path });
  await client.connect();
  const sent = 400;
  for (let i = 0; i < sent; i += 1)
    await client.publishConfirmed('load', `${i} ${'x'.repeat(64 * 1024)}`, { timeout: 0 });
  sub.child.stdout.resume();
  await sub.says('stderr', /Lost \d+ messages? of load \(drop-oldest\), \d+ so far\.\n/);
  await client.publishConfirmed('load', 'the last');
  await sub.says('stdout', /the last\n$/);
  // What it said on one stream before may arrive after what it said on the other.
  const { stdout, stderr } = await sub.stop('SIGTERM');
  assert.doesNotMatch(stderr, /Warning/);
  const lost = [...stderr.matchAll(/(\d+) so far/g)].map((match) => Number(match[1]));
  assert.equal(stdout.trimEnd().split('\n').length, sent + 1 - Math.max(...lost));
});

test('a pattern with an empty word is subscribed as it is, with a hint', async (t) => {
  const { at } = await startServer(t);
  const sub = await startSubscriber(t, [...at, 'a..b', '--count', '1']);
  await sub.says('stderr', /'a\.\.b' has an empty word beside a dot; only channels with that very dot match\.\n/);
  await run(t, ['pub', ...at, 'a..b', 'heard']);
  assert.equal((await sub.ended).stdout, 'heard\n');
});

test('call that streams into a reader that goes away ends quietly', async (t) => {
  const { path } = await startServer(t);
  const line = `'${process.execPath}' '${COMMAND}' call --path '${path}' countdown 1000 | head -1; echo "\${PIPESTATUS[0]}"`;
  const shell = startShell(t, line);
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  await once(shell, 'close');
  assert.equal(output, '1000\n0\n');
});
