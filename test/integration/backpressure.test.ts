// A reader who does not read costs a bounded amount of memory, and what happens is what its policy says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atWork, Collected, deferred, withCode } from '../support/broker-at-work.ts';

const KILOBYTE = Buffer.alloc(1024);

const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);

test('block: nothing is lost, and the publisher is held up until the slow subscriber goes on', async (t) => {
  const { server, client } = await atWork(t, 'unix', { limits: { publishWindowBytes: 16 * 1024 } });
  const [publisher, subscriber] = [await client(), await client()];
  const gate = deferred();
  const seen = new Collected<number>();
  await subscriber.subscribe(
    'slow',
    async (message) => {
      await gate.promise;
      seen.add(numberOf(message.bytes));
    },
    { creditBytes: 4096, outboxBytesMax: 8192 },
  );
  let published = 0;
  const numbered = (): Buffer => {
    const bytes = Buffer.from(KILOBYTE);
    bytes.writeUInt32BE(published, 0);
    return bytes;
  };
  while (publisher.tryPublish('slow', numbered())) published += 1;
  // What was accepted without anybody reading is what the windows allow, not more.
  while (published < 200) {
    await Promise.race([publisher.publishReady('slow'), publisher.call('system', { action: 'ping' })]);
    if (!publisher.tryPublish('slow', numbered())) break;
    published += 1;
  }
  assert.ok(published < 64, `${published} KiB were taken by a server that may hold 8`);
  assert.equal(server.getStats().slowConsumers > 0, true);
  gate.resolve();
  while (published < 300) {
    await publisher.publishReady('slow');
    if (publisher.tryPublish('slow', numbered())) published += 1;
  }
  assert.deepEqual(
    await seen.until(300),
    Array.from({ length: 300 }, (_, i) => i),
  );
});

test('block: other channels of the same connections go on', async (t) => {
  const { client } = await atWork(t, 'unix', { limits: { publishWindowBytes: 16 * 1024 } });
  const [publisher, subscriber] = [await client(), await client()];
  const gate = deferred();
  const seen = new Collected<unknown>();
  await subscriber.subscribe('slow', () => gate.promise, { creditBytes: 2048, outboxBytesMax: 4096 });
  await subscriber.subscribe('quick', (message) => seen.add(message.payload));
  while (publisher.tryPublish('slow', KILOBYTE));
  for (let i = 0; i < 100; i += 1) {
    await publisher.publishReady('quick');
    publisher.publish('quick', i);
  }
  assert.deepEqual(
    await seen.until(100),
    Array.from({ length: 100 }, (_, i) => i),
  );
  gate.resolve();
});

for (const [policy, expected] of [
  ['drop-oldest', 'the newest'],
  ['drop-newest', 'the oldest'],
  ['latest-only', 'the very last'],
] as const) {
  test(`${policy}: ${expected} arrive, and the subscriber is told exactly how many did not`, async (t) => {
    const { client } = await atWork(t);
    const [publisher, subscriber] = [await client(), await client()];
    const gate = deferred();
    const first = deferred();
    const seen: number[] = [];
    const subscription = await subscriber.subscribe(
      'busy',
      async (message) => {
        first.resolve();
        await gate.promise;
        seen.push(numberOf(message.bytes));
      },
      { policy, creditBytes: 2000, outboxBytesMax: 8 * 1024 },
    );
    const total = 100;
    for (let i = 0; i < total; i += 1) {
      const bytes = Buffer.from(KILOBYTE);
      bytes.writeUInt32BE(i, 0);
      await publisher.publishConfirmed('busy', bytes);
    }
    await first.promise;
    gate.resolve();
    while (seen.length + subscription.lost < total) await subscriber.call('system', { action: 'ping' });
    assert.equal(seen.length + subscription.lost, total);
    assert.ok(subscription.lost > 50, `${subscription.lost} were lost`);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(new Set(seen).size, seen.length);
    const kept = seen.at(-1) as number;
    if (policy === 'drop-newest') assert.ok(kept < 50);
    else assert.equal(kept, total - 1);
    if (policy === 'latest-only') assert.ok(seen.length <= 3, `${seen.length} arrived`);
  });
}

test('disconnect: a subscriber whose outbox is full is closed and told why; the others go on', async (t) => {
  const { client } = await atWork(t);
  const [publisher, slow, quick] = [await client(), await client(), await client()];
  const reason = deferred<string>();
  slow.onDisconnected((error) => reason.resolve(error.code));
  const never = deferred();
  await slow.subscribe('busy', () => never.promise, { policy: 'disconnect', creditBytes: 1024, outboxBytesMax: 4096 });
  const seen = new Collected<unknown>();
  await quick.subscribe('busy', (message) => seen.add(message.payload));
  for (let i = 0; i < 20; i += 1) await publisher.publishConfirmed('busy', KILOBYTE);
  assert.equal(await reason.promise, 'LIMIT_OUTBOX');
  await seen.until(20);
  never.resolve();
});

test('a server’s own publish is refused while subscribers hold its channel up, and ready() tells when', async (t) => {
  const { app, client } = await atWork(t);
  const subscriber = await client();
  const gate = deferred();
  await subscriber.subscribe('slow', () => gate.promise, { creditBytes: 1024, outboxBytesMax: 4096 });
  const channel = app.createChannel('slow');
  let last = channel.publish(KILOBYTE);
  for (let i = 0; !last.blocked; i += 1) {
    assert.ok(i < 20, 'the outbox never filled');
    last = channel.publish(KILOBYTE);
  }
  assert.throws(() => channel.publish(KILOBYTE), withCode('LIMIT_OUTBOX'));
  gate.resolve();
  await last.ready();
  assert.equal(channel.publish(KILOBYTE).receivers, 1);
});

test('a client that publishes without looking meets the bound of its own queue', async (t) => {
  const { client } = await atWork(t, 'unix', { limits: { publishWindowBytes: 16 * 1024 } });
  const [publisher, subscriber] = [await client({ publishQueueBytesMax: 32 * 1024 }), await client()];
  const gate = deferred();
  await subscriber.subscribe('slow', () => gate.promise, { creditBytes: 1024, outboxBytesMax: 4096 });
  assert.throws(() => {
    for (let i = 0; i < 1000; i += 1) publisher.publish('slow', KILOBYTE);
  }, withCode('LIMIT_OUTBOX'));
  gate.resolve();
});

test('an async iterator that is not read holds its own subscription up, and no other of the client', async (t) => {
  const { client } = await atWork(t, 'unix', { limits: { publishWindowBytes: 16 * 1024 } });
  const [publisher, subscriber] = [await client(), await client()];
  const idle = await subscriber.subscribe('slow', { creditBytes: 4096, outboxBytesMax: 4096 });
  const seen = new Collected<unknown>();
  await subscriber.subscribe('quick', (message) => seen.add(message.payload));
  let sent = 0;
  while (publisher.tryPublish('slow', KILOBYTE)) sent += 1;
  for (let i = 0; i < 50; i += 1) await publisher.publishConfirmed('quick', i);
  await seen.until(50);
  let received = 0;
  for await (const message of idle) {
    assert.equal(message.bytes.length, 1024);
    received += 1;
    if (received === sent) break;
  }
});

test('latest-only over thousands of channels keeps the newest of each, in the order in which they began to wait', async (t) => {
  const { app, client } = await atWork(t);
  const subscriber = await client();
  const gate = deferred();
  const first = deferred();
  const seen: { channel: string; value: unknown }[] = [];
  const subscription = await subscriber.subscribe(
    'many.*',
    async ({ channelId: channel, payload: value }) => {
      first.resolve();
      await gate.promise;
      seen.push({ channel, value });
    },
    { policy: 'latest-only', creditBytes: 1024 },
  );
  const channels = Array.from({ length: 4000 }, (_, i) => app.createChannel(`many.${i}`));
  const rounds = 20;
  for (let round = 1; round <= rounds; round += 1) {
    // Another order each time: the place is that of the first who waited.
    if (round > 1) channels.reverse();
    for (const channel of channels) channel.publish(round);
    if (round === 1) await first.promise;
  }
  gate.resolve();
  const total = channels.length * rounds;
  while (seen.length + subscription.lost < total) await subscriber.call('system', { action: 'ping' });
  assert.equal(seen.length + subscription.lost, total);
  const newest = new Map(seen.map(({ channel, value }) => [channel, value]));
  assert.equal(newest.size, channels.length);
  assert.ok([...newest.values()].every((value) => value === rounds));
  const last = seen.filter(({ value }) => value === rounds).map(({ channel }) => Number(channel.slice('many.'.length)));
  const waitedFromTheStart = last.filter((number) => number >= 1000);
  assert.deepEqual(
    waitedFromTheStart,
    [...waitedFromTheStart].sort((a, b) => a - b),
  );
});
