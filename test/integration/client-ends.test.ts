// What ends, ends for everybody who knows of it: nothing is sent on a connection that goes, nothing is lost
// without a word, nothing that a program threw is lost with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IPCError } from '../../src/client/index.ts';
import { FrameType } from '../../src/protocol/frame-types.ts';
import { writeFields } from '../../src/session/session.ts';
import { coded, once, scene } from '../support/client-scene.ts';
import { connected } from '../support/scripted-server.ts';

test('a request that a callback sends when its own is lost waits for the next connection', async () => {
  const { client, server, peer, pass } = await connected();
  const second = new Promise<unknown>((resolve) => {
    client.sendRequestAsync('log', 1, (_response, error) => {
      assert.equal(error?.code, 'NETWORK_LOST');
      client.sendRequestAsync('log', 2, (response) => resolve(response?.payload), { timeout: 0 });
    });
  });
  await server.next(FrameType.REQUEST);
  server.drop();
  await once((listener) => client.onDisconnected(listener));
  pass(2000);
  const next = await peer();
  await next.welcome();
  const { id } = await next.next(FrameType.REQUEST);
  next.send({ type: FrameType.RESPONSE, id, content: 3, payload: writeFields({ ok: true }) });
  assert.deepEqual(await second, { ok: true });
  await client.disconnect();
});

test('from the call of disconnect on, everything is refused at once', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const closing = client.disconnect();
  assert.equal(client.connected, false);
  assert.equal(client.connectionId, null);
  await assert.rejects(client.call('sum', [1]), coded('USAGE_CLOSED'));
  await assert.rejects(client.subscribe('news'), coded('USAGE_CLOSED'));
  await assert.rejects(
    client.serve('triple', () => 3),
    coded('USAGE_CLOSED'),
  );
  await assert.rejects(client.publishReady('news'), coded('USAGE_CLOSED'));
  await assert.rejects(client.ping(), coded('USAGE_NOT_CONNECTED'));
  assert.throws(() => client.publish('news', 1), coded('USAGE_CLOSED'));
  assert.throws(() => client.notify('news', 1), coded('USAGE_CLOSED'));
  assert.equal(client.tryPublish('news', 1), false);
  const again = client.connect();
  await closing;
  await again;
  assert.equal(await client.call('sum', [1, 2]), 3);
});

test('disconnect while connecting ends the attempt, and disconnect and connect may follow each other', async () => {
  await using stage = await scene();
  const client = await stage.client();
  await client.disconnect();
  const attempt = assert.rejects(client.connect(), coded('USAGE_CLOSED'));
  await client.disconnect();
  await attempt;
  assert.equal(client.getConnectionInfo().state, 'idle');
  const refused = assert.rejects(client.connect(), coded('USAGE_CLOSED'));
  const closing = client.disconnect();
  const kept = client.connect();
  await Promise.all([refused, closing, kept]);
  assert.equal(client.connected, true);
});

test('connect while the client waits to come back tries at once, and resolves when what stands is answered', async () => {
  const { client, server, peer } = await connected({ reconnectDelay: 1000 });
  const subscribing = client.subscribe('news');
  server.send({ type: FrameType.OK, id: (await server.next(FrameType.SUBSCRIBE)).id });
  await subscribing;
  const waits = once((listener) => client.on('reconnecting', listener));
  server.drop();
  await waits;
  assert.equal(client.getConnectionInfo().state, 'waiting');
  const order: string[] = [];
  const told = new Promise<void>((resolve) => {
    client.onConnected(() => {
      order.push('connected');
      void client.connect().then(() => {
        order.push('answered for');
        resolve();
      });
    });
  });
  // The clock stands still: no attempt has its time.
  const connecting = [client.connect(), client.connect()];
  const next = await peer();
  await next.welcome();
  const { id } = await next.next(FrameType.SUBSCRIBE);
  order.push('asked');
  next.send({ type: FrameType.OK, id });
  await Promise.all([...connecting, told]);
  assert.deepEqual(order, ['connected', 'asked', 'answered for']);
  await client.disconnect();
});

test('operations that wait for a connection are pending, until they are answered or given up', async () => {
  const { client, server, peer, pass } = await connected();
  const lost = once((listener) => client.onDisconnected(listener));
  server.drop();
  await lost;
  const pending = (): number => client.getConnectionInfo().pending;
  const controller = new AbortController();
  const call = client.call('sum', 1, { timeout: 0 });
  const given = assert.rejects(client.call('sum', 2, { signal: controller.signal }), coded('TIME_CANCELLED'));
  const subscribing = client.subscribe('news');
  // Nobody awaits an answer to this one.
  client.publish('news', 1);
  assert.equal(pending(), 3);
  controller.abort();
  await given;
  assert.equal(pending(), 2);
  pass(2000);
  const next = await peer();
  await next.welcome();
  const [{ id: called }, { id: subscribed }] = [
    await next.next(FrameType.REQUEST),
    await next.next(FrameType.SUBSCRIBE),
  ];
  assert.equal(pending(), 2);
  next.send({ type: FrameType.RESPONSE, id: called, content: 3, payload: writeFields({ n: 1 }) });
  next.send({ type: FrameType.OK, id: subscribed });
  await Promise.all([call, subscribing]);
  assert.equal(pending(), 0);
  await client.disconnect();
});

test('messages that waited for credit when the connection ended are reported', async () => {
  const { client, server } = await connected({ reconnect: false });
  const errors: IPCError[] = [];
  client.onError((error) => errors.push(error));
  for (let i = 0; i < 5; i += 1) client.publish('log', 'x'.repeat(600));
  const confirmed = assert.rejects(client.publishConfirmed('log', 1), coded('NETWORK_LOST'));
  server.drop();
  await confirmed;
  const unsent = errors.find(({ details }) => details['unsent'] !== undefined);
  assert.equal(unsent?.code, 'NETWORK_LOST');
  assert.equal(unsent.details['unsent'], 3);
});

test('a connection that breaks again and again counts as attempts; one that lasts begins the count anew', async () => {
  const made = await connected({ reconnectDelay: 1000, reconnectAttempts: 3 });
  const { client, peer, pass } = made;
  const attempts: number[] = [];
  client.on('reconnecting', ({ attempt }) => attempts.push(attempt));
  let { server } = made;
  const breaks = async (lastsMs: number) => {
    pass(lastsMs);
    const waits = once((listener) => client.on('reconnecting', listener));
    server.drop();
    await waits;
    pass(4000);
    server = await peer();
    const back = once((listener) => client.onConnected(listener));
    await server.welcome();
    await back;
  };
  await breaks(1);
  await breaks(1);
  await breaks(60_000);
  await breaks(1);
  await breaks(1);
  assert.deepEqual(attempts, [1, 2, 1, 2, 3]);
  const failed = once<[error: IPCError]>((listener) => client.onError(listener));
  server.drop();
  assert.equal((await failed)[0].code, 'NETWORK_LOST');
  assert.equal(client.getConnectionInfo().state, 'idle');
  assert.equal(made.timers, 0);
});

test('what a listener, a callback or a handler throws, at once or later, is an error event and nothing worse', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const other = await stage.client();
  const errors: IPCError[] = [];
  const eight = new Promise<void>((resolve) => {
    client.onError((error) => {
      errors.push(error);
      if (errors.length === 8) resolve();
    });
  });
  const now = () => {
    throw new Error('at once');
  };
  const later = async () => {
    await Promise.resolve();
    throw new Error('later');
  };
  for (const bad of [now, later]) {
    client.onNotification('told', bad);
    await client.createChannelHandler('all', bad);
    await client.subscribe('news', bad);
    client.sendRequestAsync('sum', [1], bad);
  }
  await other.publishConfirmed('all', 1);
  await other.publishConfirmed('news', 1);
  const connection = stage.server.connectionManager.listConnections().find(({ id }) => id === client.connectionId);
  assert.ok(connection);
  connection.notify('told', 1);
  await eight;
  assert.deepEqual(new Set(errors.map(({ code }) => code)), new Set(['USAGE_HANDLER_FAILED']));
  assert.equal(await client.call('sum', [1, 2]), 3);
});
