// Chunks full of publishes for subscribers that are behind: the bounds hold to the message, as they do when each
// publish comes alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frame } from '../../src/protocol/codec.ts';
import { CreditKind, FrameType } from '../../src/protocol/frame-types.ts';
import { atWork } from '../support/broker-at-work.ts';
import { declare, frame, json, RawNative } from '../support/raw-native.ts';

/** The least that a server takes. */
const OUTBOX_BYTES_MAX = 64 * 1024;

/** `count` publishes of 64 bytes on channel 1, 80 in credit. */
const publishes = (count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, () => frame({ type: FrameType.PUBLISH, channel: 1, payload: Buffer.alloc(64) })),
  );
const subscribe = (value: number, fields: object = {}): Buffer =>
  frame({ type: FrameType.SUBSCRIBE, id: 1, value, payload: json({ pattern: 'a', ...fields }) });
const granted = (value: number, id = 1): Buffer =>
  frame({ type: FrameType.CREDIT, id, content: CreditKind.SUBSCRIPTION, value });

/** Everything that was said before has been dealt with. */
async function settled(raw: RawNative): Promise<void> {
  raw.send(frame({ type: FrameType.PING, id: 1 }));
  await raw.next(FrameType.PONG);
}

for (const [state, credit] of [
  ['has no credit left', 80],
  ['has credit for some of it', 200],
] as const) {
  test(`block: who ${state} holds the publisher of a chunk up as soon as it is more than may wait`, async (t) => {
    const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 16_000 } });
    const [publisher, subscriber] = [await RawNative.join(work, declare(1, 'a')), await RawNative.join(work)];
    subscriber.send(subscribe(credit, { outboxBytesMax: 1024 }));
    await subscriber.next(FrameType.OK);
    publisher.send(publishes(1));
    await subscriber.next(FrameType.DELIVERY);
    // All of the window, together with the first: half of it would be granted if nobody was behind.
    publisher.send(publishes(199));
    await settled(publisher);
    const credits = (): Frame[] => publisher.frames.filter(({ type }) => type === FrameType.CREDIT);
    assert.deepEqual(credits(), []);
    subscriber.send(granted(16_000));
    for (let i = 1; i < 200; i += 1) await subscriber.next(FrameType.DELIVERY);
    await settled(publisher);
    assert.equal(
      credits().reduce((sum, { value }) => sum + value, 0),
      16_000,
    );
    publisher.close();
    subscriber.close();
  });
}

test('block: what there is no room for in a chunk is refused, and nothing is lost', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES_MAX });
  const [publisher, subscriber] = [await RawNative.join(work, declare(1, 'a')), await RawNative.join(work)];
  subscriber.send(subscribe(1));
  await subscriber.next(FrameType.OK);
  publisher.send(publishes(2000));
  await settled(publisher);
  const [connection] = work.server.connectionManager.listConnections().filter(({ outboxBytes }) => outboxBytes > 0);
  const waiting = connection?.outboxBytes ?? 0;
  assert.ok(waiting >= OUTBOX_BYTES_MAX && waiting < OUTBOX_BYTES_MAX + 80, `${waiting} bytes wait`);
  const refused = publisher.frames.filter(({ type }) => type === FrameType.ERROR).length;
  subscriber.send(granted(1 << 20));
  for (let i = refused; i < 2000; i += 1) await subscriber.next(FrameType.DELIVERY);
  await settled(subscriber);
  assert.ok(!subscriber.frames.some(({ type }) => type === FrameType.LOST));
  publisher.close();
  subscriber.close();
});

test('block: what another subscription of the client has left no room for is refused, and nothing is lost', async (t) => {
  const work = await atWork(t, 'unix', { outboxBytesMax: OUTBOX_BYTES_MAX });
  const [publisher, subscriber] = [await RawNative.join(work, declare(1, 'a')), await RawNative.join(work)];
  publisher.send(declare(2, 'b'));
  const other = { type: FrameType.SUBSCRIBE, id: 2, value: 1, payload: json({ pattern: 'b' }) };
  subscriber.send(subscribe(1), frame(other));
  await subscriber.next(FrameType.OK);
  await subscriber.next(FrameType.OK);
  const onB = frame({ type: FrameType.PUBLISH, channel: 2, payload: Buffer.alloc(64) });
  // Credit of one byte lets one of each pass; 819 of 80 bytes leave room for 16.
  publisher.send(publishes(820), onB);
  await settled(publisher);
  for (const held of [1, 2, 3]) {
    publisher.send(onB);
    await settled(publisher);
    const refused = publisher.frames.filter(({ type }) => type === FrameType.ERROR).length;
    assert.equal(refused, held - 1);
  }
  subscriber.send(granted(1 << 20), granted(1 << 20, 2));
  for (let i = 0; i < 822; i += 1) await subscriber.next(FrameType.DELIVERY);
  await settled(subscriber);
  assert.ok(!subscriber.frames.some(({ type }) => type === FrameType.LOST));
  publisher.close();
  subscriber.close();
});

test('who publishes beyond its credit in the middle of a chunk is shown out there', async (t) => {
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 1600 } });
  const subscriber = await RawNative.join(work);
  // The second keeps its credit from the publisher.
  const behind = frame({
    type: FrameType.SUBSCRIBE,
    id: 2,
    value: 1,
    payload: json({ pattern: 'a', outboxBytesMax: 1024 }),
  });
  subscriber.send(subscribe(0), behind);
  await subscriber.next(FrameType.OK);
  await subscriber.next(FrameType.OK);
  const publisher = await RawNative.join(work, declare(1, 'a'), publishes(50));
  assert.equal(await publisher.goodbye(), 'PEER_FLOW_CONTROL');
  await settled(subscriber);
  assert.equal(subscriber.frames.filter(({ type, id }) => type === FrameType.DELIVERY && id === 1).length, 20);
  publisher.close();
  subscriber.close();
});
