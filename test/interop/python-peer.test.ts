// The driver of the Python peers, proven with the original's client against the original's server.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { PythonClient, pythonMissing, PythonProcess, PythonServer } from './python-peer.ts';

const skip = pythonMissing();

async function start(t: TestContext): Promise<{ server: PythonServer; python: PythonProcess }> {
  const server = await PythonServer.start();
  t.after(() => server.close());
  const python = await PythonProcess.start('client');
  t.after(() => python.close());
  return { server, python };
}

test('a request is answered by the handler and a publish reaches the subscriber', { skip }, async (t) => {
  const { server, python } = await start(t);
  await server.handle('app', 'echo', 'echo');
  const client = await PythonClient.connect(python, { app: 'app', port: server.port });
  const payload = { connection_id: client.connectionId, text: 'Grüße 🌍', n: Number.NaN, big: 2n ** 70n };
  const answer = await client.request('echo', payload);
  assert.deepEqual(answer?.payload, payload);
  assert.equal(answer?.message_type, 'response');
  assert.deepEqual((await server.handled('echo')).payload, payload);
  assert.deepEqual((await client.requestAsync('echo', payload)).payload, payload);
  await client.subscribe('news');
  const id = await client.publish('news', [1]);
  const message = await client.next('news');
  assert.equal(message.message_id, id);
  assert.equal(message.message_type, 'publish');
  assert.equal(await server.publish('app', 'news', 'from the server'), (await client.next('news')).message_id);
  await server.broadcast('app', 'news', 'to all');
  assert.equal((await client.next('news')).message_type, 'notification');
});

test('a notification reaches its handler, and a ping is not answered', { skip }, async (t) => {
  const { server, python } = await start(t);
  await server.handle('app', 'log', 'silent', 'notification');
  const client = await PythonClient.connect(python, { app: 'app', port: server.port });
  await client.notify('log', 'noted');
  assert.equal((await server.handled('log')).payload, 'noted');
  assert.equal(await client.ping(0.05), false);
});

test('one megabyte passes in both directions', { skip }, async (t) => {
  const { server, python } = await start(t);
  await server.handle('app', 'echo', 'echo');
  const client = await PythonClient.connect(python, { app: 'app', port: server.port });
  const payload = {
    connection_id: client.connectionId,
    text: 'ü'.repeat(512 * 1024),
    list: Array.from({ length: 50_000 }, (_, n) => n),
  };
  assert.deepEqual((await client.request('echo', payload))?.payload, payload);
});

test('fifty clients of one process talk at once, each in its own lane', { skip }, async (t) => {
  const { server, python } = await start(t);
  await server.handle('app', 'echo', 'echo');
  const lanes = Array.from({ length: 50 }, (_, index) => `client ${index}`);
  const clients = await Promise.all(
    lanes.map((lane) => PythonClient.connect(python, { app: 'app', port: server.port }, lane)),
  );
  const answers = await Promise.all(
    clients.map((client) => client.request('echo', { connection_id: client.connectionId })),
  );
  assert.deepEqual(
    answers.map((answer) => answer?.payload),
    clients.map((client) => ({ connection_id: client.connectionId })),
  );
  assert.equal((await server.stats())['total_connections'], 50);
});

test('what Python raises rejects the command that raised it', { skip }, async (t) => {
  const { server, python } = await start(t);
  const client = await PythonClient.connect(python, { app: 'app', port: server.port });
  await assert.rejects(client.send('news', 'no such type', 1), /ValueError: 'no such type' is not a valid MessageType/);
  await server.drop(client.connectionId);
  assert.equal(await client.untilLost(), true);
  await assert.rejects(client.publish('news', 1), /ConnectionError/);
});

test('a process that dies fails what waits for it, and its close', { skip }, async () => {
  const python = await PythonProcess.start('client');
  const waiting = assert.rejects(
    python.next('nothing', () => false),
    /ended with SIGKILL/,
  );
  await python.kill();
  await waiting;
  await assert.rejects(python.close(), /ended with SIGKILL/);
});
