// Our client with `protocol: 'json'` against a server of the original Python package.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type ClientOptions, IPCClient, IPCError } from '../../src/client/index.ts';
import { pythonMissing, PythonServer } from './python-peer.ts';

const skip = pythonMissing();
const coded = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

async function startServer(t: TestContext): Promise<PythonServer> {
  const server = await PythonServer.start();
  t.after(() => server.close());
  await server.handle('app', 'echo', 'echo');
  return server;
}

async function connect(t: TestContext, server: PythonServer, options: ClientOptions = {}): Promise<IPCClient> {
  const client = new IPCClient('app', { host: '127.0.0.1', port: server.port, protocol: 'json', ...options });
  t.after(() => client.disconnect());
  await client.connect();
  return client;
}

test('a request is answered by the handler of the old server, whatever its payload holds', { skip }, async (t) => {
  const server = await startServer(t);
  const client = await connect(t, server);
  const { connection_id, ...payload } = (await client.call('echo', {
    text: 'grüße 🌍',
    list: [1, null, 2.5],
  })) as Record<string, unknown>;
  assert.equal(connection_id, client.connectionId);
  assert.deepEqual(payload, { text: 'grüße 🌍', list: [1, null, 2.5] });
  const response = await client.sendRequest('echo', { n: 12345678901234567890n, infinite: Number.POSITIVE_INFINITY });
  assert.equal(response.messageType, 'response');
  assert.equal((response.payload as { n: bigint }).n, 12345678901234567890n);
  assert.equal((response.payload as { infinite: number }).infinite, Number.POSITIVE_INFINITY);
});

test('one megabyte passes in both directions', { skip }, async (t) => {
  const server = await startServer(t);
  const client = await connect(t, server);
  const text = 'ü'.repeat(512 * 1024);
  const answer = (await client.call('echo', { text }, { timeout: 120_000 })) as { text: string };
  assert.ok(answer.text === text, 'the text comes back as it was');
});

test('what is published reaches subscribers in both directions, the publisher too', { skip }, async (t) => {
  const server = await startServer(t);
  const [one, two] = [await connect(t, server), await connect(t, server)];
  const first = await one.subscribe('news');
  const again = await one.subscribe('news');
  const second = await two.subscribe('news');
  await Promise.all([one.call('echo', {}), two.call('echo', {})]);
  one.publish('news', { n: 1 });
  for (const subscription of [first, again, second]) {
    assert.deepEqual((await subscription.next()).value?.payload, { n: 1 });
  }
  await again.unsubscribe();
  assert.equal((await server.subscribers('app', 'news')).length, 2);
  await first.unsubscribe();
  await one.call('echo', {});
  assert.deepEqual(await server.subscribers('app', 'news'), [two.connectionId]);
  await server.publish('app', 'news', 'from the server');
  assert.equal((await second.next()).value?.payload, 'from the server');
});

test('a notification reaches its handler; a broadcast reaches the listeners here', { skip }, async (t) => {
  const server = await startServer(t);
  await server.handle('app', 'log', 'silent', 'notification');
  const client = await connect(t, server);
  client.notify('log', 'noted');
  assert.equal((await server.handled('log')).payload, 'noted');
  const heard = new Promise((resolve) => {
    client.onNotification('news', (message) => resolve(message.payload));
  });
  await server.broadcast('app', 'news', 'to all');
  assert.equal(await heard, 'to all');
});

test('no answer is a time-out; a ping without one says nothing about the server', { skip }, async (t) => {
  const server = await startServer(t);
  await server.handle('app', 'void', 'silent');
  const client = await connect(t, server);
  await assert.rejects(client.call('void', {}, { timeout: 50 }), coded('TIME_OUT'));
  await assert.rejects(client.ping(50), coded('TIME_OUT'));
  assert.deepEqual(await client.healthCheck(), { healthy: true, connected: true, latencyMs: null, error: null });
  assert.equal(client.getConnectionInfo().pending, 0);
});

test('what the old protocol lacks is refused with a code', { skip }, async (t) => {
  const client = await connect(t, await startServer(t));
  await assert.rejects(client.subscribe('news.*'), coded('USAGE_UNSUPPORTED'));
  await assert.rejects(client.publishConfirmed('news', 1), coded('USAGE_UNSUPPORTED'));
  await assert.rejects(client.stream('echo', 1).next(), coded('USAGE_UNSUPPORTED'));
  await assert.rejects(
    client.serve('echo', () => 1),
    coded('USAGE_UNSUPPORTED'),
  );
  assert.throws(() => client.publish('news', 1, { retain: true }), coded('USAGE_UNSUPPORTED'));
});

test('a lost connection comes back under a new id with its subscriptions', { skip }, async (t) => {
  const server = await startServer(t);
  const client = await connect(t, server, { reconnectDelay: 1, reconnectAttempts: 1000 });
  const subscription = await client.subscribe('news');
  await client.call('echo', {});
  const before = client.connectionId as string;
  const back = new Promise<void>((resolve) => {
    client.onConnected(() => resolve());
  });
  await server.drop(before);
  await back;
  assert.notEqual(client.connectionId, before);
  await client.call('echo', {});
  await server.publish('app', 'news', 'again');
  assert.equal((await subscription.next()).value?.payload, 'again');
});

test('fifty clients talk at once and each gets its own answers', { skip }, async (t) => {
  const server = await startServer(t);
  const clients = await Promise.all(Array.from({ length: 50 }, () => connect(t, server)));
  const answers = await Promise.all(
    clients.flatMap((client, i) => [1, 2, 3].map((n) => client.call('echo', { i, n }, { timeout: 120_000 }))),
  );
  assert.deepEqual(
    answers,
    clients.flatMap((client, i) => [1, 2, 3].map((n) => ({ connection_id: client.connectionId, i, n }))),
  );
});
