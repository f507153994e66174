// How clients come, go, are lost and come back, against the real server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ClientOptions, IPCClient, IPCError } from '../../src/client/index.ts';
import { IPCServer } from '../../src/server/index.ts';
import { coded, furnish, once, scene } from '../support/client-scene.ts';
import { socketPath } from '../support/socket-path.ts';

describe('coming and going', () => {
  test('connect calls share one connection, disconnect can be called twice, and connect begins anew', async () => {
    await using stage = await scene();
    const client = new IPCClient('shop', { path: stage.path });
    await Promise.all([client.connect(), client.connect()]);
    assert.equal(stage.server.getStats().totalConnections, 1);
    const first = client.connectionId;
    await Promise.all([client.disconnect(), client.disconnect()]);
    assert.equal(client.connected, false);
    assert.equal(client.connectionId, null);
    await assert.rejects(client.call('sum', [1]), coded('USAGE_CLOSED'));
    await client.connect();
    assert.notEqual(client.connectionId, first);
    await client.disconnect();
  });

  test('disconnect rejects what is not answered and ends subscriptions', async () => {
    await using stage = await scene();
    stage.server
      .createApplication('shop')
      .createChannel('never')
      .setHandler('request', () => new Promise(() => {}));
    const client = await stage.client();
    const subscription = await client.subscribe('news');
    const call = client.call('never', 1);
    const next = subscription.next();
    const rejected = assert.rejects(call, coded('USAGE_CLOSED'));
    await client.disconnect();
    await rejected;
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.equal(subscription.active, false);
  });

  test('a lost connection comes back by itself: subscriptions and services are restored, waiting requests answered', async () => {
    await using stage = await scene();
    const client = await stage.client({ reconnectDelay: 1, reconnectAttempts: 1_000_000 });
    const seen: unknown[] = [];
    let arrived: () => void = () => {};
    const event = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await client.subscribe('news', (message) => {
      seen.push(message.payload);
      arrived();
    });
    await client.serve('triple', ({ payload }) => (payload as number) * 3);
    const before = client.connectionId;
    const lost = once<[error: IPCError, returning: boolean]>((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    assert.equal((await lost)[1], true);
    const waiting = client.call('sum', [20, 22], { timeout: 0 });
    const back = once<[details: { returned: boolean }]>((listener) => client.onConnected(listener));
    await stage.again();
    assert.equal((await back)[0].returned, true);
    assert.equal(await waiting, 42);
    assert.notEqual(client.connectionId, before);
    const other = await stage.client();
    assert.equal(await other.call('triple', 5), 15);
    assert.equal(await other.publishConfirmed('news', 'again'), 1);
    await event;
    assert.deepEqual(seen, ['again']);
  });

  test("with offline: 'fail' nothing waits", async () => {
    await using stage = await scene();
    const client = await stage.client({ offline: 'fail', reconnectDelay: 30_000 });
    const lost = once((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    await lost;
    await assert.rejects(client.call('sum', [1]), coded('USAGE_NOT_CONNECTED'));
    assert.throws(() => client.publish('news', 1), coded('USAGE_NOT_CONNECTED'));
  });

  test('after the last attempt it gives up and says so, to everybody who waits', async () => {
    await using stage = await scene();
    const client = await stage.client({ reconnectDelay: 1, reconnectAttempts: 2 });
    const attempts: number[] = [];
    client.on('reconnecting', ({ attempt }) => attempts.push(attempt));
    const failed = once<[error: IPCError]>((listener) => client.onError(listener));
    const subscription = await client.subscribe('news');
    const next = assert.rejects(subscription.next(), IPCError);
    const lost = once((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    await lost;
    const waiting = assert.rejects(client.call('sum', [1]), IPCError);
    assert.equal((await failed)[0].code, 'NETWORK_CONNECT_FAILED');
    await Promise.all([waiting, next]);
    assert.deepEqual(attempts, [1, 2]);
    assert.equal(client.getConnectionInfo().state, 'idle');
  });

  test('an attempt to connect fails with what happened, in time, and can be cancelled', async () => {
    const { path, remove } = socketPath();
    const client = new IPCClient('shop', { path });
    await assert.rejects(client.connect(), coded('NETWORK_CONNECT_FAILED'));
    await assert.rejects(client.connect({ signal: AbortSignal.abort() }), coded('TIME_CANCELLED'));
    await assert.rejects(client.ping(), coded('USAGE_NOT_CONNECTED'));
    await assert.rejects(
      new IPCClient('shop', { path: `/${'x'.repeat(200)}` }).connect(),
      (error) => error instanceof IPCError,
    );
    remove();
  });

  test('a refused client is told why and does not try again', async () => {
    await using stage = await scene({ authenticate: ({ token }) => token === 'right' && { user: 1 } });
    const wrong = new IPCClient('shop', { path: stage.path, token: 'wrong' });
    await assert.rejects(wrong.connect(), coded('REMOTE_UNAUTHENTICATED'));
    const right = await stage.client({ token: 'right' });
    assert.deepEqual(right.getConnectionInfo().identity, { user: 1 });
  });

  test('ping, health and notifications', async () => {
    await using stage = await scene();
    const client = await stage.client();
    assert.ok((await client.ping()) >= 0);
    assert.equal((await client.healthCheck()).healthy, true);
    const heard: unknown[] = [];
    stage.server
      .createApplication('shop')
      .createChannel('log')
      .setHandler('notification', (message) => {
        heard.push(message.payload);
      });
    client.notify('log', 'line');
    await client.ping();
    assert.deepEqual(heard, ['line']);
    await client.disconnect();
    assert.equal((await client.healthCheck()).healthy, false);
  });
});

describe('transports', () => {
  let server: IPCServer;
  const { path, remove } = socketPath();
  before(async () => {
    server = furnish(new IPCServer({ listen: [{ port: 0 }, { path }] }));
    await server.start();
  });
  after(async () => {
    await server.stop();
    remove();
  });

  test('the same over TCP, a Unix socket and WebSocket', async () => {
    const { port } = server;
    for (const options of [
      { port },
      { url: `tcp://localhost:${port}` },
      { path },
      { url: `ws://localhost:${port}` },
    ] satisfies ClientOptions[]) {
      await using client = new IPCClient('shop', options);
      await client.connect();
      assert.equal(await client.call('sum', [1, 2]), 3, JSON.stringify(options));
    }
  });
});
