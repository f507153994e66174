// What waits for a subscriber leaves as it came: whole, in order, under the subscription's number, and no more
// of it at a time than there is credit for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrame } from '../protocol/codec.ts';
import { FrameCutter } from '../protocol/frame.ts';
import { FrameType, HEADER_BYTES } from '../protocol/frame-types.ts';
import { FrameWriter } from '../session/frame-writer.ts';
import { SlabPool } from '../session/slab-pool.ts';
import { Outbox } from './outbox.ts';
import type { Topic } from './deliverable.ts';
import { type Labels, Publication } from './publication.ts';
import type { Run } from './run.ts';

const SUBSCRIPTION = 7;
const TOPICS: readonly Topic[] = [1, 2].map((number) => ({ number, channelId: `c${number}`, appId: 'test' }));
const LABELS: Labels = {
  messageId: () => '',
  now: () => 0,
  codec: undefined,
  report: (error) => assert.ifError(error),
};

interface Sent {
  readonly topic: number;
  readonly size: number;
  /** It stands in a frame of its own, with others before and behind it. */
  readonly framed: boolean;
}

/** Publications as they come out of one chunk. The content of each is its place in `sent`. */
function received(sent: readonly Sent[]): Publication[] {
  const writer = new FrameWriter(new SlabPool());
  const ends: number[] = [];
  for (const [index, { topic, size }] of sent.entries()) {
    const payload = new Uint8Array(size).fill(index);
    writer.frame(FrameType.PUBLISH, 0, index, 0, topic + 1, 0, payload);
    ends.push(writer.pendingBytes);
  }
  const chunk = Buffer.concat(writer.take(1)?.parts ?? []);
  return sent.map(({ topic, size, framed }, index) => {
    const end = ends[index] as number;
    return new Publication(TOPICS[topic] as Topic, index, chunk, end - size, end, framed, LABELS);
  });
}

/** The contents of the deliveries that were written, in order. */
function delivered(writer: FrameWriter): number[] {
  const cutter = new FrameCutter(1 << 20);
  const contents: number[] = [];
  cutter.push(Buffer.concat(writer.take(1)?.parts ?? []));
  while (cutter.next()) {
    const frame = decodeFrame(cutter.buffer, cutter.start, cutter.end);
    assert.deepEqual([frame.type, frame.id], [FrameType.DELIVERY, SUBSCRIPTION]);
    assert.ok(frame.payload.every((byte) => byte === frame.content));
    contents.push(frame.content);
  }
  return contents;
}

const sentArbitrary = fc.array(
  fc.record({ topic: fc.nat(1), size: fc.nat(100), framed: fc.boolean() }, { noNullPrototype: true }),
  { maxLength: 200 },
);

test('block: what waits leaves whole and in order, and counts until it has left', () => {
  const creditArbitrary = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(sentArbitrary, creditArbitrary, (sent, credits) => {
      const outbox = new Outbox('block', 1 << 20, SUBSCRIPTION);
      for (const publication of received(sent)) assert.equal(outbox.offer(publication, 1 << 20), 'kept');
      const writer = new FrameWriter(new SlabPool());
      let waitingBytes = sent.reduce((sum, { size }) => sum + size + HEADER_BYTES, 0);
      let messages = 0;
      for (let turn = 0; !outbox.empty; turn += 1) {
        assert.equal(outbox.bytes, waitingBytes);
        const credit = credits[turn % credits.length] as number;
        const taken = outbox.take(credit) as Publication | Run;
        // The last of them may reach over the credit; it begins within it.
        if (taken.count > 1) assert.ok(taken.bytes - (HEADER_BYTES + 100) < credit);
        waitingBytes -= taken.bytes;
        messages += taken.count;
        taken.deliver(writer, SUBSCRIPTION);
      }
      assert.deepEqual([outbox.bytes, messages], [0, sent.length]);
      assert.deepEqual(
        delivered(writer),
        sent.map((_, index) => index),
      );
    }),
  );
});

test('block: messages that stand in one piece wait in one piece, and leave behind a large body of their channel', () => {
  const outbox = new Outbox('block', 1 << 20, SUBSCRIPTION);
  const sent = Array.from({ length: 100 }, () => ({ topic: 0, size: 40, framed: true }));
  for (const publication of received(sent)) outbox.offer(publication, 1 << 20);
  assert.equal(outbox.size, 1);
  const writer = new FrameWriter(new SlabPool());
  writer.frame(FrameType.DELIVERY, 0, 0, SUBSCRIPTION, 1, 0, new Uint8Array(300_000));
  outbox.take()?.deliver(writer, SUBSCRIPTION);
  writer.cutAll();
  const types: number[] = [];
  const cutter = new FrameCutter(1 << 20);
  cutter.push(Buffer.concat(writer.take(1)?.parts ?? []));
  while (cutter.next()) types.push(cutter.buffer[cutter.start] as number);
  assert.deepEqual(types.lastIndexOf(FrameType.FRAGMENT), types.length - 101);
});

test('one frame is given to one subscription; another gets the same as a copy', () => {
  const sent = Array.from({ length: 50 }, () => ({ topic: 0, size: 40, framed: true }));
  const [one, other] = [new Outbox('block', 1 << 20, SUBSCRIPTION + 1), new Outbox('block', 1 << 20, SUBSCRIPTION)];
  for (const publication of received(sent)) {
    one.offer(publication, 1 << 20);
    other.offer(publication, 1 << 20);
  }
  assert.deepEqual([one.size, other.size], [1, 50]);
  const writer = new FrameWriter(new SlabPool());
  while (!other.empty) other.take()?.deliver(writer, SUBSCRIPTION);
  assert.deepEqual(delivered(writer).length, 50);
});

test('old clients and other policies are kept message by message', () => {
  const sent = Array.from({ length: 10 }, () => ({ topic: 0, size: 40, framed: true }));
  for (const outbox of [new Outbox('block', 1 << 20, 0), new Outbox('drop-oldest', 1 << 20, SUBSCRIPTION)]) {
    for (const publication of received(sent)) outbox.offer(publication, 1 << 20);
    assert.equal(outbox.size, 10);
    assert.ok(outbox.take() instanceof Publication);
  }
});
