// `isthmus serve`: what it says, how it stops, whom it lets in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCClient } from '../../src/client/index.ts';
import { deferred } from '../support/broker-at-work.ts';
import { run, Running, startServer, startSubscriber } from './command-process.ts';

test('serve says where it listens, and what it says to type works', async (t) => {
  const server = new Running(t, ['serve', '--port', '0']);
  const [, port = ''] = await server.says('stderr', /isthmus \d+\.\d+\.\d+ listens on tcp:\/\/localhost:(\d+)\n/);
  const [, words = ''] = await server.says('stderr', /main\.js'? (call .* echo hello)/);
  assert.ok(words.includes(`--port ${port} `));
  assert.equal((await run(t, words.split(' '))).stdout, 'hello\n');
  assert.equal(server.stdout, '');
});

test('serve --json logs JSON lines with where it listens', async (t) => {
  const server = new Running(t, ['serve', '--port', '0', '--json', '--max-connections', '7']);
  const [line] = await server.says('stderr', /^.*\n/);
  const { event, level, listening, port, maxConnections, pid } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(
    { event, level, maxConnections, pid },
    { event: 'listening', level: 'info', maxConnections: 7, pid: server.child.pid },
  );
  assert.deepEqual(listening, [`tcp://localhost:${String(port)}`]);
  const { stderr } = await server.stop('SIGTERM');
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((text) => (JSON.parse(text) as { event: string }).event);
  assert.deepEqual(events, ['listening', 'stopping', 'stopped']);
});

test('SIGINT stops a server with 130, SIGTERM with 0', async (t) => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 0],
  ] as const) {
    const { server } = await startServer(t);
    const result = await server.stop(signal);
    assert.deepEqual([result.code, result.signal], [code, null]);
    assert.match(result.stderr, /Stopped\.\n$/);
  }
});

test('a server that stops lets open requests finish', async (t) => {
  const { server, at, path } = await startServer(t, ['--drain', '600000']);
  const [begun, gate] = [deferred(), deferred<string>()];
  await using worker = new IPCClient('demo', { path });
  await worker.connect();
  await worker.serve('slow', () => {
    begun.resolve();
    return gate.promise;
  });
  const call = new Running(t, ['call', ...at, '--timeout', '0', 'slow']);
  await begun.promise;
  const stopped = server.stop('SIGTERM');
  await server.says('stderr', /1 request may finish within 600000 ms/);
  gate.resolve('done');
  const { code, stdout } = await call.ended;
  assert.deepEqual([code, stdout], [0, 'done\n']);
  assert.equal((await stopped).code, 0);
});

test('a second SIGINT does not wait for open requests', async (t) => {
  const { server, at } = await startServer(t, ['--drain', '600000']);
  const call = new Running(t, ['call', ...at, 'countdown', '1000']);
  await call.says('stdout', /^1000\n/);
  server.child.kill('SIGINT');
  await server.says('stderr', /Stopping/);
  assert.equal((await server.stop('SIGINT')).code, 130);
  assert.equal((await call.ended).code, 1);
});

test('SIGINT ends sub and call with 130, SIGTERM with 143', async (t) => {
  const { at } = await startServer(t);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const sub = await startSubscriber(t, [...at, 'x']);
    assert.equal((await sub.stop(signal)).code, code);
    const call = new Running(t, ['call', ...at, 'countdown', '1000']);
    await call.says('stdout', /^1000\n/);
    const result = await call.stop(signal);
    assert.deepEqual([result.code, result.stderr], [code, '']);
  }
});

test('SIGINT ends pub while it waits for stdin with 130', async (t) => {
  const { at } = await startServer(t);
  const pub = new Running(t, ['pub', ...at, 'x']);
  // More than a pipe holds: once it is written, the command has begun to read.
  await new Promise((resolve) => pub.child.stdin.write(Buffer.alloc(1024 * 1024, 'a'), resolve));
  const { code, stdout, stderr } = await pub.stop('SIGINT');
  assert.deepEqual([code, stdout, stderr], [130, '', '']);
});

test('only who knows the token comes in', async (t) => {
  const { at, server } = await startServer(t, [], { env: { ISTHMUS_TOKEN: 'open sesame' } });
  assert.match(server.stderr, /export ISTHMUS_TOKEN=/);
  assert.doesNotMatch(server.stderr, /open sesame/);
  const none = await run(t, ['call', ...at, 'echo', 'x']);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /^isthmus call: .*; give the token of the server with --token or ISTHMUS_TOKEN\n$/);
  assert.equal((await run(t, ['call', ...at, '--token', 'open', 'echo', 'x'])).code, 1);
  assert.equal((await run(t, ['call', ...at, '--token', 'open sesame', 'echo', 'x'])).stdout, 'x\n');
  assert.equal((await run(t, ['call', ...at, 'echo', 'x'], { env: { ISTHMUS_TOKEN: 'open sesame' } })).stdout, 'x\n');
});

test('other machines are let in only when asked for', async (t) => {
  const refused = await run(t, ['serve', '--host', '0.0.0.0', '--port', '0']);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^isthmus serve: .*0\.0\.0\.0.*; give --token .*--insecure.*\n$/);
  const server = new Running(t, ['serve', '--host', '0.0.0.0', '--port', '0', '--insecure']);
  await server.says('stderr', /listens on tcp:\/\/0\.0\.0\.0:\d+/);
  assert.equal((await server.stop('SIGTERM')).code, 0);
});

test('a port or path that is taken is one line with what to do', async (t) => {
  const { at } = await startServer(t);
  const path = await run(t, ['serve', ...at]);
  assert.equal(path.code, 1);
  assert.match(path.stderr, /^isthmus serve: .*a live server listens there; take another --path\n$/);
  const server = new Running(t, ['serve', '--port', '0']);
  const [, port = ''] = await server.says('stderr', /localhost:(\d+)/);
  const taken = await run(t, ['serve', '--port', port]);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /^isthmus serve: .*another process listens on this port; take another with --port, .*\n$/);
});

test('one connection too many is told so', async (t) => {
  const { at } = await startServer(t, ['--max-connections', '1']);
  await startSubscriber(t, [...at, 'x']);
  const { code, stderr } = await run(t, ['call', ...at, 'echo', 'x']);
  assert.equal(code, 1);
  assert.match(stderr, /--max-connections\n$/);
});

test('serve --no-demo has no application of its own', async (t) => {
  const { at, server } = await startServer(t, ['--no-demo']);
  assert.doesNotMatch(server.stderr, /In another terminal/);
  assert.equal((await run(t, ['call', ...at, 'echo', 'x'])).code, 1);
});
