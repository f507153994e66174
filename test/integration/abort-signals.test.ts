// AbortSignals live longer than what they end: nothing stays on one, and one that has fired ends everything
// at once, under the name that the platform gives it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { AbortError, IPCClient } from '../../src/client/index.ts';
import { Pipe, PipeSender, send } from '../../src/pipe/index.ts';
import { ChannelType, ConnMode, IPCChannel } from '../../src/shm/index.ts';
import { coded, once, scene, type Scene } from '../support/client-scene.ts';
import { pipeFolder } from './pipe-folder.ts';
import { withoutFifos } from './pipe-listening.ts';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

type Operation = (stage: Scene, client: IPCClient, signal: AbortSignal) => Promise<unknown>;

/** Every operation of a client that takes a signal, to its end. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  call: (_stage, client, signal) => client.call('sum', [1], { signal }),
  'call that fails': (_stage, client, signal) => assert.rejects(client.call('fail', 1, { signal })),
  'call that times out': (_stage, client, signal) =>
    assert.rejects(client.call('never', 1, { signal, timeout: 1 }), coded('TIME_OUT')),
  sendRequest: (_stage, client, signal) => client.sendRequest('sum', [1], { signal }),
  sendRequestAsync: (_stage, client, signal) =>
    new Promise((resolve) => client.sendRequestAsync('sum', [1], resolve, { signal })),
  'stream to its end': async (_stage, client, signal) => {
    const taken: unknown[] = [];
    for await (const item of client.stream('count', 3, { signal })) taken.push(item);
    assert.equal(taken.length, 3);
  },
  'stream that is left': async (_stage, client, signal) => {
    for await (const _item of client.stream('count', 3, { signal })) break;
  },
  subscribe: async (_stage, client, signal) => {
    const subscription = await client.subscribe('news', () => {}, { signal });
    assert.equal(listeners(signal), 1);
    await subscription.unsubscribe();
  },
  serve: async (_stage, client, signal) => {
    const service = await client.serve('triple', () => 3, { signal });
    assert.equal(listeners(signal), 1);
    await service.unserve();
  },
  publishConfirmed: (_stage, client, signal) => client.publishConfirmed('news', 1, { signal }),
  publishReady: (_stage, client, signal) => client.publishReady('news', { signal }),
  ping: (_stage, client, signal) => client.ping(2000, { signal }),
  waitForMessage: async (stage, client, signal) => {
    const waiting = client.waitForMessage('event', 0, { signal });
    const other = await stage.client();
    while ((await other.publishConfirmed('event', 1)) === 0);
    await waiting;
    await other.disconnect();
  },
  connect: async (stage, _client, signal) => {
    const other = new IPCClient('shop', { path: stage.path, signal });
    await other.connect({ signal });
    assert.equal(listeners(signal), 1);
    await other.disconnect();
  },
  'connect that fails': async (stage, _client, signal) => {
    const other = new IPCClient('shop', { path: `${stage.path}-nobody`, signal });
    await assert.rejects(other.connect({ signal }), coded('NETWORK_CONNECT_FAILED'));
  },
  'eleven at once': async (_stage, client, signal) => {
    const calls = Array.from({ length: 11 }, () => client.call('sum', [1], { signal }));
    assert.equal(listeners(signal), 1);
    await Promise.all(calls);
  },
  'request of the server': async (stage, client, signal) => {
    const stop = client.handle('ask', () => 'told');
    const connection = stage.server.connectionManager.listConnections()[0];
    assert.ok(connection);
    await connection.request('ask', 1, { signal });
    stop();
  },
};

for (const [name, operate] of Object.entries(OPERATIONS)) {
  test(`${name}: nothing stays on the signal`, async () => {
    await using stage = await scene();
    stage.server
      .getApplication('shop')
      ?.createChannel('never')
      .setHandler('request', () => new Promise(() => {}));
    const client = await stage.client();
    const { signal } = new AbortController();
    for (let i = 0; i < 3; i += 1) {
      await operate(stage, client, signal);
      assert.equal(listeners(signal), 0);
    }
  });
}

/** Operations that wait, as long as nobody ends them. */
const WAITS: Readonly<Record<string, Operation>> = {
  call: (_stage, client, signal) => client.call('never', 1, { signal, timeout: 0 }),
  sendRequest: (_stage, client, signal) => client.sendRequest('never', 1, { signal, timeout: 0 }),
  stream: (_stage, client, signal) => client.stream('never', 1, { signal }).next(),
  subscribe: (_stage, client, signal) => client.subscribe('news', () => {}, { signal }),
  serve: (_stage, client, signal) => client.serve('triple', () => 3, { signal }),
  publishConfirmed: (_stage, client, signal) => client.publishConfirmed('news', 1, { signal, timeout: 0 }),
  ping: (_stage, client, signal) => client.ping(0, { signal }),
  waitForMessage: (_stage, client, signal) => client.waitForMessage('silence', 0, { signal }),
  connect: (stage, _client, signal) => new IPCClient('shop', { path: stage.path }).connect({ signal }),
  'connect by the signal of the client': (stage, _client, signal) =>
    new IPCClient('shop', { path: stage.path, signal }).connect(),
};

for (const [name, operate] of Object.entries(WAITS)) {
  test(`${name}: a signal that fired before ends it at once, one that fires later when it does`, async () => {
    await using stage = await scene();
    stage.server
      .getApplication('shop')
      ?.createChannel('never')
      .setHandler('request', () => new Promise(() => {}));
    const client = await stage.client();
    const reason = new Error('changed our mind');
    const ended = (error: unknown) =>
      error instanceof AbortError &&
      error.name === 'AbortError' &&
      error.cause === reason &&
      coded('TIME_CANCELLED')(error);
    await assert.rejects(operate(stage, client, AbortSignal.abort(reason)), ended);
    const controller = new AbortController();
    const waiting = operate(stage, client, controller.signal);
    controller.abort(reason);
    await assert.rejects(waiting, ended);
    assert.equal(listeners(controller.signal), 0);
    assert.equal(client.getConnectionInfo().subscriptions, 0);
    assert.equal(client.getConnectionInfo().services, 0);
  });
}

test('while offline, what a signal ended is not done later, and leaves its room to others', async () => {
  await using stage = await scene();
  const client = await stage.client({ reconnectDelay: 1, reconnectAttempts: 1_000_000, offlineQueueBytesMax: 1024 });
  const lost = once((listener) => client.onDisconnected(listener));
  await stage.server.stop();
  await lost;
  for (let i = 0; i < 100; i += 1) {
    const controller = new AbortController();
    const waits = [
      client.call('sum', [1], { signal: controller.signal, timeout: 0 }),
      client.subscribe('news', () => {}, { signal: controller.signal }),
      client.publishConfirmed('news', 1, { signal: controller.signal }),
      client.publishReady('news', { signal: controller.signal }),
    ].map((wait) => assert.rejects(wait, coded('TIME_CANCELLED')));
    controller.abort();
    await Promise.all(waits);
    await assert.rejects(client.call('sum', [1], { timeout: 1 }), coded('TIME_OUT'));
  }
  assert.equal(client.getConnectionInfo().queuedBytes, 0);
  const back = once((listener) => client.onConnected(listener));
  await stage.again();
  await back;
  assert.equal(await client.publishConfirmed('news', 1), 0);
});

test('the signal of a client disconnects it, again and again', async () => {
  await using stage = await scene();
  const controller = new AbortController();
  const client = await stage.client({ signal: controller.signal });
  const subscription = await client.subscribe('news');
  const lost = once((listener) => client.onDisconnected(listener));
  controller.abort();
  await lost;
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
  assert.equal(listeners(controller.signal), 0);
  await assert.rejects(client.connect(), coded('TIME_CANCELLED'));
});

test('AbortSignal.timeout ends a call as a time-out', async () => {
  await using stage = await scene();
  stage.server
    .getApplication('shop')
    ?.createChannel('never')
    .setHandler('request', () => new Promise(() => {}));
  const client = await stage.client();
  await assert.rejects(client.call('never', 1, { signal: AbortSignal.timeout(1) }), {
    name: 'TimeoutError',
    code: 'TIME_OUT',
  });
});

test('what is no signal is refused by name', async (t) => {
  await using stage = await scene();
  const client = await stage.client();
  const signal = {} as AbortSignal;
  const refused = { code: 'USAGE_INVALID_OPTION', message: /signal/ };
  for (const [name, operate] of Object.entries(WAITS)) {
    await assert.rejects(async () => operate(stage, client, signal), refused, name);
  }
  if (process.platform === 'linux') {
    using channel = new IPCChannel(ChannelType.CHANNEL, `test.signal.${randomUUID()}`, ConnMode.BOTH);
    await assert.rejects(async () => channel.receive({ signal }), refused);
  }
  const { folder } = pipeFolder(t);
  assert.throws(() => new Pipe(join(folder, 'p'), () => {}, { signal }), refused);
  await assert.rejects(async () => send(join(folder, 'p'), 'x', { signal }), refused);
});

test('shared memory: nothing stays on the signal', { skip: process.platform !== 'linux' }, async () => {
  const name = `test.signal.${randomUUID()}`;
  using receiver = new IPCChannel(ChannelType.ROUTE, name, ConnMode.RECEIVER, { capacityBytes: 4096 });
  using sender = new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, { capacityBytes: 4096 });
  const { signal } = new AbortController();
  const waiting = receiver.receive({ signal });
  assert.equal(listeners(signal), 1);
  await sender.send('one', { signal });
  await waiting;
  assert.equal(listeners(signal), 0);
  await assert.rejects(receiver.receive({ signal, timeoutMs: 1 }), coded('TIME_OUT'));
  await sender.waitForReceivers(1, { signal });
  assert.equal(await sender.waitForReceivers(9, { signal, timeoutMs: 1 }), false);
  assert.equal(listeners(signal), 0);
  const full = Array.from({ length: 20 }, () => sender.send(Buffer.alloc(1000), { signal }));
  assert.ok(listeners(signal) > 0);
  for (const _one of full) await receiver.receive({ signal });
  await Promise.all(full);
  assert.equal(listeners(signal), 0);

  const reason = new Error('changed our mind');
  const ended = (error: unknown) => error instanceof AbortError && error.cause === reason;
  const fired = AbortSignal.abort(reason);
  await assert.rejects(receiver.receive({ signal: fired }), ended);
  await assert.rejects(sender.send('x', { signal: fired }), ended);
  await assert.rejects(sender.waitForReceivers(1, { signal: fired }), ended);
  const controller = new AbortController();
  const never = receiver.receive({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(never, ended);
  assert.equal(listeners(controller.signal), 0);
  const closed = receiver.receive({ signal });
  receiver.close();
  await assert.rejects(closed, coded('USAGE_CLOSED'));
  assert.equal(listeners(signal), 0);
});

test('named pipes: nothing stays on the signal', { skip: withoutFifos }, async (t) => {
  const { folder } = pipeFolder(t);
  const path = join(folder, 'p');
  const { signal } = new AbortController();
  const pipe = new Pipe(path, () => {}, { signal });
  assert.equal(listeners(signal), 0);
  await pipe.listen();
  assert.equal(listeners(signal), 1);
  await send(path, 'one', { signal });
  const sender = new PipeSender(path);
  await Promise.all([sender.send('two', { signal }), sender.send('three', { signal })]);
  assert.equal(listeners(signal), 1);
  await sender.close();
  await pipe.close();
  assert.equal(listeners(signal), 0);
  await assert.rejects(send(path, 'four', { signal }), { errorCode: 'CONNECTION_FAILED' });
  await assert.rejects(send(path, 'five', { signal, timeout: 1, maxAttempts: 0 }), { errorCode: 'TIMEOUT' });
  assert.equal(listeners(signal), 0);

  const reason = new Error('changed our mind');
  const ended = { name: 'AbortError', code: 'TIME_CANCELLED', cause: reason };
  await assert.rejects(send(path, 'x', { signal: AbortSignal.abort(reason) }), ended);
  await assert.rejects(new Pipe(path, () => {}, { signal: AbortSignal.abort(reason) }).listen(), ended);
  const controller = new AbortController();
  const opening = new Pipe(path, () => {}, { signal: controller.signal });
  const listening = opening.listen();
  controller.abort(reason);
  await assert.rejects(listening, ended);
  assert.equal(await opening.closed, 'aborted');
  assert.equal(listeners(controller.signal), 0);
});
