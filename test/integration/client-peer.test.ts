// The client against servers that are wrong, silent or gone: it says why, and nothing stays behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFields } from '../../src/session/session.ts';
import { writeFields } from '../../src/session/session.ts';
import { CreditKind, FrameFlag, FrameType } from '../../src/protocol/frame-types.ts';
import { coded, once } from '../support/client-scene.ts';
import { connected, script } from '../support/scripted-server.ts';

test('HELLO says who wants what; a WELCOME that lacks something ends the attempt', async () => {
  const { client, peer } = script({ name: 'till 3', token: 'secret', will: { channel: 'gone', payload: [1] } });
  const connecting = client.connect();
  const server = await peer();
  const hello = readFields(await server.next(FrameType.HELLO));
  assert.equal(hello['app'], 'shop');
  assert.equal(hello['name'], 'till 3');
  assert.equal(hello['token'], 'secret');
  assert.deepEqual(hello['will'], { channel: 'gone', content: 3, payload: btoa('[1]') });
  server.send({ type: FrameType.WELCOME, value: 1, payload: writeFields({ connectionId: 'c1' }) });
  await assert.rejects(connecting, coded('PEER_MALFORMED_FRAME'));
  assert.equal(client.connected, false);
});

test('a server that never answers the handshake ends the attempt in time, and no timer is left', async () => {
  const made = script({ connectionTimeout: 100 });
  const connecting = made.client.connect();
  await (await made.peer()).next(FrameType.HELLO);
  made.pass(120);
  await assert.rejects(connecting, coded('TIME_OUT'));
  assert.equal(made.timers, 0);
});

test('a GOODBYE that allows no return ends the client; one that does brings it back', async () => {
  const { client, server, peer, pass } = await connected();
  const goodbye = (fields: object) => ({ type: FrameType.GOODBYE, payload: writeFields(fields) });
  const lost = once<[error: Error, returning: boolean]>((listener) => client.onDisconnected(listener));
  server.send(goodbye({ code: 'REMOTE_DRAINING', message: 'back soon', retry: true }));
  const [error, returning] = await lost;
  assert.ok(coded('REMOTE_DRAINING')(error));
  assert.equal(returning, true);
  const back = once((listener) => client.onConnected(listener));
  pass(2000);
  const second = await peer();
  await second.welcome({ connectionId: 'c2' });
  await back;
  const failed = once<[error: Error]>((listener) => client.onError(listener));
  second.send(goodbye({ code: 'REMOTE_FORBIDDEN', message: 'banned', retry: false }));
  assert.ok(coded('REMOTE_FORBIDDEN')((await failed)[0]));
  assert.equal(client.getConnectionInfo().state, 'idle');
});

test('waiting grows with each attempt, and the number of attempts is kept', async () => {
  const { client, server, peer, pass } = await connected({ reconnectDelay: 100, reconnectAttempts: 3 });
  const delays: number[] = [];
  client.on('reconnecting', ({ delayMs }) => delays.push(delayMs));
  const failed = once<[error: Error]>((listener) => client.onError(listener));
  let current = server;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const waits = once((listener) => client.on('reconnecting', listener));
    current.drop();
    await waits;
    pass(10_000);
    current = await peer();
  }
  current.drop();
  assert.ok(coded('NETWORK_LOST')((await failed)[0]));
  assert.deepEqual(delays, [50, 100, 200]);
});

test('a silent server is pinged, then given up', async () => {
  const made = await connected({ heartbeatInterval: 1000, reconnect: false });
  made.pass(1500);
  await made.server.next(FrameType.PING);
  const failed = once<[error: Error]>((listener) => made.client.onError(listener));
  made.pass(3000);
  assert.ok(coded('PEER_SILENT')((await failed)[0]));
  assert.equal(made.timers, 0);
});

test('a server that delivers more than the credit is told so and left', async () => {
  const { client, server } = await connected();
  const subscribing = client.subscribe('news', { creditBytes: 1024 });
  const { id, value } = await server.next(FrameType.SUBSCRIBE);
  assert.equal(value, 1024);
  server.send({ type: FrameType.OK, id });
  const subscription = await subscribing;
  server.send({ type: FrameType.DECLARE, channel: 1, payload: new TextEncoder().encode('news') });
  const failed = once<[error: Error]>((listener) => client.onError(listener));
  const delivery = { type: FrameType.DELIVERY, id, channel: 1, content: 1, payload: new Uint8Array(1100) };
  server.send(delivery);
  server.send(delivery);
  assert.equal(readFields(await server.next(FrameType.GOODBYE))['code'], 'PEER_FLOW_CONTROL');
  assert.ok(coded('PEER_FLOW_CONTROL')((await failed)[0]));
  assert.equal((await subscription.next()).value?.bytes.length, 1100);
});

test('credit comes back when messages are taken, not when they arrive', async () => {
  const { client, server } = await connected();
  const subscribing = client.subscribe('news', { creditBytes: 1024 });
  const { id } = await server.next(FrameType.SUBSCRIBE);
  server.send({ type: FrameType.OK, id });
  const subscription = await subscribing;
  server.send({ type: FrameType.DECLARE, channel: 1, payload: new TextEncoder().encode('news') });
  server.send({ type: FrameType.DELIVERY, id, channel: 1, content: 1, payload: new Uint8Array(600) });
  const pinging = client.ping();
  const ping = await server.next(FrameType.PING);
  server.send({ type: FrameType.PONG, id: ping.id });
  await pinging;
  assert.equal(subscription.waiting, 1);
  await subscription.next();
  const credit = await server.next(FrameType.CREDIT);
  assert.deepEqual([credit.content, credit.id, credit.value], [CreditKind.SUBSCRIPTION, id, 616]);
  await client.disconnect();
});

test('what is published without credit leaves in order when credit comes', async () => {
  const { client, server } = await connected();
  for (let i = 0; i < 4; i += 1) client.publish('news', new Uint8Array(600).fill(i));
  assert.equal(client.tryPublish('news', 1), false);
  assert.equal((await server.next(FrameType.PUBLISH)).payload[0], 0);
  const { channel } = await server.next(FrameType.PUBLISH);
  assert.ok(client.getConnectionInfo().queuedBytes > 0);
  const ready = client.publishReady('news');
  server.send({ type: FrameType.CREDIT, content: CreditKind.PUBLISH, channel, value: 10_000 });
  await ready;
  assert.equal((await server.next(FrameType.PUBLISH)).payload[0], 2);
  assert.equal((await server.next(FrameType.PUBLISH)).payload[0], 3);
  assert.equal(client.getConnectionInfo().queuedBytes, 0);
  await client.disconnect();
});

test('a late answer to a call that has timed out answers no other call', async () => {
  const { client, server, pass } = await connected();
  const slow = client.call('sum', 1, { timeout: 10 });
  const first = await server.next(FrameType.REQUEST);
  assert.equal(first.value, 10);
  pass(20);
  await assert.rejects(slow, coded('TIME_OUT'));
  const next = client.call('sum', 2, { timeout: 0 });
  const second = await server.next(FrameType.REQUEST);
  assert.notEqual(second.id, first.id);
  server.send({ type: FrameType.RESPONSE, id: first.id, content: 2, payload: new TextEncoder().encode('late') });
  server.send({ type: FrameType.RESPONSE, id: second.id, content: 2, payload: new TextEncoder().encode('right') });
  assert.equal(await next, 'right');
  await client.disconnect();
});

test('requests of the server are answered, streamed with its credit, and stopped by its CANCEL', async () => {
  const { client, server } = await connected();
  const remove = client.handle('letters', async function* ({ payload }) {
    for (const letter of payload as string) yield letter;
  });
  server.send({ type: FrameType.DECLARE, channel: 7, payload: new TextEncoder().encode('letters') });
  const ask = { type: FrameType.REQUEST, channel: 7, content: 2, payload: new TextEncoder().encode('x'.repeat(200)) };
  server.send({ ...ask, id: 1 });
  assert.equal(readFields(await server.next(FrameType.ERROR))['code'], 'REMOTE_STREAMS');
  server.send({ ...ask, id: 2, flags: FrameFlag.STREAM });
  // The window of 1024 bytes takes 61 items of 17; the last may go beyond.
  for (let i = 0; i < 61; i += 1) await server.next(FrameType.STREAM_DATA);
  server.send({ type: FrameType.CREDIT, flags: FrameFlag.OWN_ID, content: CreditKind.STREAM, id: 2, value: 170 });
  for (let i = 0; i < 10; i += 1) await server.next(FrameType.STREAM_DATA);
  server.send({ type: FrameType.CANCEL, id: 2 });
  const cancelled = await server.next(FrameType.ERROR);
  assert.equal(cancelled.id, 2);
  assert.equal(readFields(cancelled)['code'], 'REMOTE_CANCELLED');
  remove();
  server.send({ ...ask, id: 3 });
  assert.equal(readFields(await server.next(FrameType.ERROR))['code'], 'REMOTE_NO_HANDLER');
  await client.disconnect();
});

test('a connection that breaks fails what is in flight with NETWORK_LOST, and that may be tried again', async () => {
  const { client, server } = await connected({ reconnect: false });
  client.onError(() => {});
  const call = assert.rejects(
    client.call('sum', 1),
    (error) => coded('NETWORK_LOST')(error) && (error as { retry: boolean }).retry,
  );
  const confirmed = assert.rejects(client.publishConfirmed('news', 1), coded('NETWORK_LOST'));
  const stream = assert.rejects(client.stream('log', 1).next(), coded('NETWORK_LOST'));
  await server.next(FrameType.PUBLISH);
  server.drop();
  await Promise.all([call, confirmed, stream]);
});

test('a disconnected client leaves no timer behind, even when the server does not answer its goodbye', async () => {
  const made = await connected();
  const closing = made.client.disconnect();
  await made.server.next(FrameType.GOODBYE);
  made.pass(2100);
  await closing;
  assert.equal(made.timers, 0);
  assert.equal(made.client.getConnectionInfo().state, 'idle');
});
