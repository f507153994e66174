// A client that does not read what it did not ask for: notifications, requests of the server, news of who
// comes and goes. What waits for it is bounded, and what was not kept is said to somebody.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameType } from '../../src/protocol/frame-types.ts';
import type { ServerConnection } from '../../src/server/index.ts';
import { atWork, type AtWork, Collected, deferred, withCode } from '../support/broker-at-work.ts';
import { declare, frame, json, RawNative, request } from '../support/raw-native.ts';
import { OldWire } from '../interop/old-wire.ts';

const OUTBOX_BYTES = 64 * 1024;
const KILOBYTE = Buffer.alloc(1024);
const subscribe = (id: number, pattern: string, creditBytes: number, fields: object = {}): Buffer =>
  frame({ type: FrameType.SUBSCRIBE, id, value: creditBytes, payload: json({ pattern, ...fields }) });

function only({ server }: AtWork): ServerConnection {
  const [connection, ...others] = server.connectionManager.listConnections();
  assert.ok(connection !== undefined && others.length === 0);
  return connection;
}

/** Notifies until the client has no room, and the system takes no more of what waits. Gives how often. */
async function glut(connection: ServerConnection): Promise<number> {
  let told = 0;
  for (let refused = 0; refused < 50; ) {
    try {
      connection.notify('news', KILOBYTE);
      told += 1;
      refused = 0;
    } catch (thrown) {
      withCode('LIMIT_OUTBOX')(thrown);
      refused += 1;
    }
    assert.ok(told < 100_000, 'the client was told without end');
    if (refused > 0 || told % 64 === 0) await new Promise(setImmediate);
  }
  return told;
}

test('a client that does not read is notified and asked within its bound; then who would tell it has the error', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES });
  const raw = await RawNative.join(work);
  raw.socket.pause();
  const connection = only(work);
  const told = await glut(connection);
  assert.ok(connection.waitingBytes < OUTBOX_BYTES + 2 * KILOBYTE.length, `${connection.waitingBytes} bytes wait`);
  await assert.rejects(connection.request('ask', 1), withCode('LIMIT_OUTBOX'));
  raw.socket.resume();
  for (let i = 0; i < told; i += 1) await raw.next(FrameType.NOTIFICATION);
  connection.notify('news', 'again');
  assert.equal(Buffer.from((await raw.next(FrameType.NOTIFICATION)).payload).toString(), 'again');
  raw.close();
});

test('an old client that does not read is notified within its bound', async (t) => {
  const work = await atWork(t, 'tcp', { outboxBytesMax: OUTBOX_BYTES, host: '127.0.0.1' });
  const wire = await OldWire.join(work.server.port, 'test', 'old');
  wire.socket.pause();
  const connection = only(work);
  const told = await glut(connection);
  assert.ok(connection.waitingBytes < OUTBOX_BYTES + 4 * KILOBYTE.length, `${connection.waitingBytes} bytes wait`);
  wire.socket.resume();
  for (let i = 0; i < told; i += 1) assert.equal((await wire.next())['message_type'], 'notification');
  wire.close();
});

test('a broadcast passes by a client that does not read, reaches all others, and says how many', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES });
  const deaf = await RawNative.join(work);
  deaf.socket.pause();
  await glut(only(work));
  const [before, after] = [await work.client(), await work.client()];
  const heard = new Collected<unknown>();
  for (const client of [before, after]) client.onNotification('all', ({ payload }) => heard.add(payload));
  const { slowConsumers } = work.server.getStats();
  assert.equal(work.server.broadcastToApplication('test', { channelId: 'all', payload: 'x' }), 2);
  assert.deepEqual(await heard.until(2), ['x', 'x']);
  assert.equal(work.server.getStats().slowConsumers, slowConsumers + 1);
  deaf.close();
});

test('a broadcast passes by a client that is on its way out', async (t) => {
  const work = await atWork(t);
  const raw = await RawNative.join(work);
  const leaving = only(work);
  const staying = await work.client();
  const heard = new Collected<unknown>();
  staying.onNotification('all', ({ payload }) => heard.add(payload));
  leaving.close();
  assert.equal(work.server.broadcastToApplication('test', { channelId: 'all', payload: 'x' }), 1);
  assert.equal(work.server.sendToConnection(leaving, { channelId: 'all', payload: 'x' }), false);
  assert.deepEqual(await heard.until(1), ['x']);
  raw.close();
});

test('news of who comes and goes waits within the bound, and how many were dropped is told', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES, maxConnections: 1000 });
  // Credit for the first alone.
  const watcher = await RawNative.join(work, subscribe(1, '$presence', 1));
  await watcher.next(FrameType.OK);
  const connection = only(work);
  const name = 'n'.repeat(4000);
  const rounds = 40;
  for (let i = 0; i < rounds; i += 1) {
    const client = await work.client({ name });
    await client.disconnect();
  }
  while (work.server.getStats().totalConnections > 1) await new Promise(setImmediate);
  assert.ok(connection.outboxBytes <= OUTBOX_BYTES + 5000, `${connection.outboxBytes} bytes wait`);
  watcher.send(frame({ type: FrameType.CREDIT, id: 1, content: 1, value: 1 << 30 }));
  const lost = (await watcher.next(FrameType.LOST)).value;
  assert.ok(lost > 0);
  for (let got = 0; got + lost < rounds * 2; got += 1) await watcher.next(FrameType.DELIVERY);
  watcher.close();
});

test('block: where a subscriber holds all that it may, further publishes are refused, and what was taken arrives', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES });
  const subscriber = await work.client();
  const gate = deferred();
  const seen = new Collected<unknown>();
  await subscriber.subscribe(
    'slow',
    async ({ bytes }) => {
      await gate.promise;
      seen.add(bytes.length);
    },
    { creditBytes: 1024 },
  );
  const connection = only(work);
  let taken = 0;
  let refused = 0;
  // Each who comes anew has credit that nobody has held back yet.
  for (let i = 0; i < 8; i += 1) {
    const publisher = await work.client();
    const confirmations = Array.from({ length: 32 }, () => publisher.publishConfirmed('slow', KILOBYTE));
    for (const outcome of await Promise.allSettled(confirmations)) {
      if (outcome.status === 'fulfilled') {
        taken += 1;
        continue;
      }
      withCode('LIMIT_OUTBOX')(outcome.reason);
      refused += 1;
    }
    await publisher.disconnect();
  }
  assert.ok(refused > 0);
  assert.ok(connection.outboxBytes <= OUTBOX_BYTES + 2 * KILOBYTE.length, `${connection.outboxBytes} bytes wait`);
  assert.throws(() => work.app.createChannel('slow').publish(KILOBYTE), withCode('LIMIT_OUTBOX'));
  gate.resolve();
  await seen.until(taken);
  assert.equal(connection.outboxBytes, 0);
});

for (const policy of ['block', 'drop-oldest', 'drop-newest', 'latest-only'] as const) {
  test(`${policy}: all subscriptions of one client together wait within its bound, and what was dropped is counted`, async (t) => {
    const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES });
    const count = 300;
    const raw = await RawNative.join(
      work,
      ...Array.from({ length: count }, (_, i) => subscribe(i + 1, `c.${i}`, 1, { policy })),
    );
    for (let i = 0; i < count; i += 1) await raw.next(FrameType.OK);
    const connection = only(work);
    const publisher = await RawNative.join(work, ...Array.from({ length: count }, (_, i) => declare(i + 1, `c.${i}`)));
    const rounds = 3;
    let refused = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < count; i += 1) {
        publisher.send(frame({ type: FrameType.PUBLISH, id: i + 1, channel: i + 1, payload: KILOBYTE, content: 1 }));
      }
      // Each is answered: taken, or refused.
      for (let i = 0; i < count; i += 1)
        refused += (await publisher.next(FrameType.OK, FrameType.ERROR)).type === FrameType.ERROR ? 1 : 0;
    }
    assert.equal(refused > 0, policy === 'block');
    assert.ok(connection.outboxBytes <= OUTBOX_BYTES + 2 * KILOBYTE.length, `${connection.outboxBytes} bytes wait`);
    for (let i = 0; i < count; i += 1) {
      raw.send(frame({ type: FrameType.CREDIT, id: i + 1, content: 1, value: 1 << 20 }));
    }
    let accounted = refused;
    while (accounted < count * rounds) {
      const one = await raw.next(FrameType.DELIVERY, FrameType.LOST);
      accounted += one.type === FrameType.LOST ? one.value : 1;
    }
    assert.equal(accounted, count * rounds);
    assert.equal(connection.outboxBytes, 0);
    raw.close();
    publisher.close();
  });
}

test('of ten thousand questions in one chunk as many are taken up as answers may wait, the others when those were read', async (t) => {
  const outboxBytesMax = 4 * 1024 * 1024;
  const work = await atWork(t, 'unix', { outboxBytesMax });
  const answer = Buffer.alloc(100_000);
  let asked = 0;
  const first = deferred();
  work.app.createChannel('large').setHandler('request', () => {
    asked += 1;
    first.resolve();
    return answer;
  });
  const raw = await RawNative.join(work, declare(1, 'large'));
  raw.socket.pause();
  const count = 2000;
  raw.send(...Array.from({ length: count }, (_, i) => request(i + 1, 1, '')));
  const other = await work.client();
  await first.promise;
  // One chunk has 1,500 of them; whoever has answered a hundred pings behind it has gone through all of it.
  for (let i = 0; i < 100; i += 1) await other.ping();
  assert.ok(asked * answer.length < 2 * outboxBytesMax, `${asked} answers of ${answer.length} bytes were made`);
  raw.socket.resume();
  for (let i = 1; i <= count; i += 1) assert.equal((await raw.next(FrameType.RESPONSE)).id, i);
  assert.equal(asked, count);
  raw.close();
});

for (const outboxBytesMax of [OUTBOX_BYTES, 16 * 1024 * 1024]) {
  test(`who asks for more in one breath than may wait for it (${outboxBytesMax}) gets all of it, and may go on asking`, async (t) => {
    const work = await atWork(t, 'unix', { outboxBytesMax });
    const answer = Buffer.alloc(1024 * 1024);
    work.app.createChannel('large').setHandler('request', () => answer);
    const client = await work.client();
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => client.call('large', round)));
      assert.ok(answers.every((bytes) => (bytes as Buffer).length === answer.length));
    }
  });
}
