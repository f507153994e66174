// More channel names on one connection than either side remembers: the client has them forgotten and begins
// anew, and credit stays what it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atWork, Collected, deferred } from '../support/broker-at-work.ts';

const NAMES = 12_000;

test('a connection goes on after more names than the server remembers, and nothing is lost or out of order', async (t) => {
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 4096 } });
  work.app.createChannel('echo').setHandler('request', ({ payload }) => payload);
  const [publisher, subscriber] = [await work.client(), await work.client()];
  const steady = new Collected<unknown>();
  await subscriber.subscribe('steady', ({ payload }) => steady.add(payload));
  const names = new Collected<string>();
  await subscriber.subscribe('name.*', ({ channelId }) => names.add(channelId));
  const expected: number[] = [];
  for (let n = 0; n < NAMES; n += 1) {
    await publisher.publishReady('steady');
    // A few bytes each: credit that is owed and too little to be granted must not be lost with the names.
    publisher.publish('steady', n);
    expected.push(n);
    publisher.publish(`name.${n}`, n);
    if (n % 1000 === 0) assert.equal(await publisher.call('echo', n), n);
  }
  assert.deepEqual(await steady.until(NAMES), expected);
  assert.equal((await names.until(NAMES)).length, NAMES);
});

test('a publisher that is held up stays held up through ten thousand other names, and goes on when it may', async (t) => {
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 4096 } });
  const [publisher, subscriber] = [await work.client(), await work.client()];
  const gate = deferred();
  const seen = new Collected<number>();
  await subscriber.subscribe(
    'slow',
    async ({ payload }) => {
      await gate.promise;
      seen.add((payload as { readonly n: number }).n);
    },
    { creditBytes: 1024, outboxBytesMax: 2048 },
  );
  const fill = 'x'.repeat(400);
  let n = 0;
  for (; n < 100; n += 1) publisher.publish('slow', { n, fill });
  for (let other = 0; other < NAMES; other += 1) {
    publisher.publish(`name.${other}`, other);
    if (other % 500 === 0) await publisher.ping(0);
    // Behind those that wait, under whatever number.
    if (other % 4000 === 0) publisher.publish('slow', { n: n++, fill });
  }
  assert.equal(publisher.connected, true);
  assert.equal(seen.values.length, 0);
  gate.resolve();
  for (; n < 300; n += 1) {
    await publisher.publishReady('slow');
    publisher.publish('slow', { n, fill });
  }
  assert.deepEqual(
    await seen.until(300),
    Array.from({ length: 300 }, (_, i) => i),
  );
});
