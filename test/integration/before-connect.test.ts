// Before the first connect() a client is offline as it is after a loss: by its option what it is told waits
// or fails, and what is to stand as long as the client lives stands.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { IPCClient, type IPCError } from '../../src/client/index.ts';
import type { Frame } from '../../src/protocol/codec.ts';
import { FrameType } from '../../src/protocol/frame-types.ts';
import { writeFields } from '../../src/session/session.ts';
import { coded, furnish, once, scene } from '../support/client-scene.ts';
import { script, type ScriptedPeer } from '../support/scripted-server.ts';
import { IPCServer } from '../../src/server/index.ts';

test('subscriptions, services and handlers made before connect are in place when connect resolves', async () => {
  await using stage = await scene();
  const client = new IPCClient('shop', { path: stage.path });
  const seen: unknown[] = [];
  const subscription = await client.subscribe('orders.*', ({ payload }) => seen.push(payload));
  const iterated = await client.subscribe('orders.eu');
  await client.createChannelHandler('orders.us', ({ payload }) => seen.push(payload));
  const service = await client.serve('triple', ({ payload }) => (payload as number) * 3);
  client.handle('name', () => 'Ada');
  assert.equal(client.getConnectionInfo().subscriptions, 3);
  assert.equal(client.connected, false);
  await client.connect();
  const other = await stage.client();
  assert.equal(await other.publishConfirmed('orders.eu', 1), 2);
  assert.equal((await iterated.next()).value?.payload, 1);
  assert.equal(await other.publishConfirmed('orders.us', 2), 2);
  assert.equal(await other.call('triple', 2), 6);
  await client.ping();
  assert.deepEqual(seen, [1, 2, 2]);
  await subscription.unsubscribe();
  await service.unserve();
  assert.equal(await other.publishConfirmed('orders.eu', 1), 1);
  await assert.rejects(other.call('triple', 2), coded('REMOTE_NO_HANDLER'));
  await client.disconnect();
  assert.equal(iterated.active, false);
});

test('what was sent before connect is sent in its order, behind what stands', async () => {
  const { client, peer } = script();
  client.publish('log', 'first');
  const call = client.call('sum', [1, 2]);
  client.notify('log', 'second');
  const confirmed = client.publishConfirmed('log', 'third');
  await client.subscribe('news', () => {});
  const connecting = client.connect();
  const server = await peer();
  await server.welcome();
  const types: number[] = [];
  const ids: number[] = [];
  for (const type of [
    FrameType.SUBSCRIBE,
    FrameType.PUBLISH,
    FrameType.REQUEST,
    FrameType.NOTIFICATION,
    FrameType.PUBLISH,
  ]) {
    const frame = await server.next(type);
    types.push(frame.type);
    ids.push(frame.id);
  }
  server.send({ type: FrameType.RESPONSE, id: ids[2] as number, content: 3, payload: writeFields({ sum: 3 }) });
  server.send({ type: FrameType.OK, id: ids[4] as number, value: 7 });
  assert.deepEqual(await call, { sum: 3 });
  assert.equal(await confirmed, 7);
  let connected = false;
  void connecting.then(() => (connected = true));
  await Promise.resolve();
  assert.equal(connected, false, 'the subscription is not confirmed yet');
  server.send({ type: FrameType.OK, id: ids[0] as number });
  await connecting;
  await client.disconnect();
});

test('what is asked for after a loss is sent in its order, subscriptions among it', async () => {
  const { client, peer, pass } = script();
  const connecting = client.connect();
  const first = await peer();
  await first.welcome();
  await connecting;
  const lost = once((listener) => client.onDisconnected(listener));
  first.drop();
  await lost;
  client.publish('news', 1);
  const subscribing = client.subscribe('news', () => {});
  client.publish('news', 2);
  pass(2000);
  const second = await peer();
  await second.welcome();
  const frames = [];
  for (let i = 0; i < 3; i += 1) frames.push(await nextOf(second, [FrameType.PUBLISH, FrameType.SUBSCRIBE]));
  assert.deepEqual(
    frames.map((frame) => frame.type),
    [FrameType.PUBLISH, FrameType.SUBSCRIBE, FrameType.PUBLISH],
  );
  second.send({ type: FrameType.OK, id: frames[1]?.id as number });
  await subscribing;
  await client.disconnect();
});

test("with offline: 'fail' nothing that needs the server is accepted before connect", async () => {
  const client = new IPCClient('shop', { offline: 'fail' });
  const refused = coded('USAGE_NOT_CONNECTED');
  await assert.rejects(client.call('sum', [1]), refused);
  await assert.rejects(client.sendRequest('sum', [1]), refused);
  await assert.rejects(client.stream('sum', [1]).next(), refused);
  await assert.rejects(
    client.subscribe('news', () => {}),
    refused,
  );
  await assert.rejects(
    client.serve('triple', () => 3),
    refused,
  );
  await assert.rejects(client.publishConfirmed('news', 1), refused);
  await assert.rejects(client.publishReady('news'), refused);
  await assert.rejects(client.waitForMessage('news'), refused);
  assert.throws(() => client.publish('news', 1), refused);
  assert.throws(() => client.notify('news', 1), refused);
  assert.throws(() => client.request('sum', [1]), refused);
  assert.equal(client.getConnectionInfo().subscriptions, 0);
  assert.equal(client.getConnectionInfo().services, 0);
  client.handle('triple', () => 3)();
});

test('a request that waits for connect has its time-out, and leaves its room', async () => {
  const made = script({ offlineQueueBytesMax: 1024 });
  const late = assert.rejects(made.client.call('sum', 'x'.repeat(900)), {
    code: 'TIME_OUT',
    message: /could not be sent/,
  });
  assert.throws(() => made.client.publish('log', 'x'.repeat(900)), coded('LIMIT_OFFLINE_QUEUE'));
  made.pass(5100);
  await late;
  made.client.publish('log', 'x'.repeat(900));
  await made.client.disconnect();
});

test('when the first attempt fails, what waits fails with it, and what stands waits for the next', async () => {
  await using stage = await scene();
  await stage.server.stop();
  const client = new IPCClient('shop', { path: stage.path });
  const reported: IPCError[] = [];
  client.onError((error) => reported.push(error));
  const subscription = await client.subscribe('news');
  await client.serve('triple', () => 3);
  const call = assert.rejects(client.call('sum', [1]), coded('NETWORK_CONNECT_FAILED'));
  client.publish('news', 'lost');
  await assert.rejects(client.connect(), coded('NETWORK_CONNECT_FAILED'));
  await call;
  assert.deepEqual(
    reported.map(({ code }) => code),
    ['NETWORK_CONNECT_FAILED'],
  );
  assert.equal(subscription.active, true);
  await stage.again();
  await client.connect();
  const other = await stage.client();
  assert.equal(await other.publishConfirmed('news', 1), 1);
  assert.equal(await other.call('triple', 1), 3);
  await client.disconnect();
});

test('disconnect before connect ends all of it; connect begins anew', async () => {
  await using stage = await scene();
  const client = new IPCClient('shop', { path: stage.path });
  const subscription = await client.subscribe('news');
  const call = assert.rejects(client.call('sum', [1]), coded('USAGE_CLOSED'));
  await client.disconnect();
  await call;
  assert.deepEqual(await subscription.next(), { done: true, value: undefined });
  await assert.rejects(client.subscribe('news'), coded('USAGE_CLOSED'));
  assert.throws(() => client.publish('news', 1), coded('USAGE_CLOSED'));
  await client.connect();
  assert.equal(await client.call('sum', [1, 2]), 3);
  assert.equal(client.getConnectionInfo().subscriptions, 0);
  await client.disconnect();
});

test('what the server refuses of it ends and is an error event; the client is connected', async () => {
  await using stage = await scene({ application: { channelsMax: 10 }, limits: { subscriptionsMax: 1 } });
  const client = new IPCClient('shop', { path: stage.path });
  const failed = once<[error: IPCError]>((listener) => client.onError(listener));
  const first = await client.subscribe('news');
  const second = await client.subscribe('more');
  await client.connect();
  assert.equal((await failed)[0].code, 'LIMIT_SUBSCRIPTIONS');
  assert.equal(first.active, true);
  assert.equal(second.active, false);
  await assert.rejects(second.next(), coded('LIMIT_SUBSCRIPTIONS'));
  assert.equal(await client.call('sum', [1, 2]), 3);
  await client.disconnect();
});

test('what the old protocol does not have is refused when the connection is there, and nothing else is', async () => {
  const server = furnish(new IPCServer({ port: 0 }));
  await server.start();
  const client = new IPCClient('shop', { port: server.port, protocol: 'json' });
  const failed: string[] = [];
  client.onError((error) => failed.push(error.code));
  await client.serve('triple', () => 3);
  const pattern = await client.subscribe('orders.*');
  const subscription = await client.subscribe('news');
  await client.connect();
  assert.deepEqual(failed, ['USAGE_UNSUPPORTED', 'USAGE_UNSUPPORTED']);
  assert.equal(pattern.active, false);
  assert.equal(await client.call('sum', [1, 2]), 3);
  client.publish('news', 'heard');
  assert.equal((await subscription.next()).value?.payload, 'heard');
  await client.disconnect();
  await server.stop();
});

test('the signal of the client ends what waits for connect', async () => {
  const controller = new AbortController();
  const { client } = script({ signal: controller.signal });
  const subscription = await client.subscribe('news');
  const call = assert.rejects(client.call('sum', [1], { timeout: 0 }), coded('USAGE_CLOSED'));
  controller.abort();
  await call;
  assert.equal(subscription.active, false);
  await assert.rejects(client.call('sum', [1]), coded('USAGE_CLOSED'));
});

test('a client that waits for a connection nobody asks for says so once', async () => {
  const asked = script();
  await asked.client.subscribe('news');
  const connecting = assert.rejects(asked.client.connect(), coded('USAGE_CLOSED'));
  asked.pass(6000);
  assert.deepEqual(asked.warnings, []);
  await asked.client.disconnect();
  await connecting;

  const given = script();
  await (await given.client.subscribe('news')).unsubscribe();
  given.pass(6000);
  assert.deepEqual(given.warnings, []);

  const forgotten = script();
  await forgotten.client.subscribe('news');
  forgotten.client.publish('news', 1);
  forgotten.pass(60_000);
  assert.equal(forgotten.warnings.length, 1);
  assert.match(String(forgotten.warnings[0]), /connect\(\) was not called/);
  assert.equal(forgotten.timers, 0);
});

test('a program that never connects is told so before it ends', async () => {
  const entry = new URL('../../src/client/index.js', import.meta.url).href;
  const program = `
    import { IPCClient } from ${JSON.stringify(entry)};
    await new IPCClient('shop').call('sum', [1], { timeout: 20 }).catch((error) => console.log(error.code));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  assert.equal(stdout, 'TIME_OUT\n');
});

async function nextOf(peer: ScriptedPeer, types: readonly number[]): Promise<Frame> {
  const frame = await peer.any();
  return types.includes(frame.type) ? frame : nextOf(peer, types);
}
