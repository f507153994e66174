// Several publishes that are forwarded at once reach everybody as they would have one by one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrame } from '../protocol/codec.ts';
import { FrameCutter } from '../protocol/frame.ts';
import { FrameType, HEADER_BYTES } from '../protocol/frame-types.ts';
import { FrameWriter } from '../session/frame-writer.ts';
import { SlabPool } from '../session/slab-pool.ts';
import { Burst } from './burst.ts';
import type { Topic } from './deliverable.ts';
import type { Labels } from './publication.ts';
import { Run } from './run.ts';

const CONTENT = 7;
const TOPIC: Topic = { number: 30, channelId: 'c', appId: 'test' };
const LABELS: Labels = {
  messageId: () => '',
  now: () => 0,
  codec: undefined,
  report: (error) => assert.ifError(error),
};

/** Payloads of these sizes in one chunk, with something before and behind them. The first two bytes tell which it is. */
function received(sizes: readonly number[]): { burst: Burst; sent: Buffer[]; chunk: Buffer } {
  const writer = new FrameWriter(new SlabPool());
  const sent = sizes.map((size, index) => {
    const payload = Buffer.alloc(2 + size, index);
    payload.writeUInt16BE(index);
    return payload;
  });
  writer.frame(FrameType.PING, 0, 0, 1, 0, 0);
  const start = writer.pendingBytes;
  for (const payload of sent) writer.frame(FrameType.PUBLISH, 0, CONTENT, 0, 5, 0, payload);
  const end = writer.pendingBytes;
  writer.frame(FrameType.PING, 0, 0, 2, 0, 0);
  const chunk = Buffer.concat(writer.take(1)?.parts ?? []);
  return { burst: new Burst(TOPIC, CONTENT, sizes.length, chunk, start, end, LABELS), sent, chunk };
}

/** The payloads of the deliveries that a writer was given, all of which are for one subscription. */
function delivered(writer: FrameWriter, id: number): Buffer[] {
  const cutter = new FrameCutter(1 << 20);
  const payloads: Buffer[] = [];
  for (let batch = writer.take(1); batch !== undefined; batch = writer.take(1)) {
    for (const part of batch.parts) {
      cutter.push(part);
      while (cutter.next()) {
        const frame = decodeFrame(cutter.buffer, cutter.start, cutter.end);
        if (frame.type === FrameType.FRAGMENT) continue;
        assert.deepEqual(
          [frame.type, frame.flags, frame.content, frame.id, frame.channel, frame.value],
          [FrameType.DELIVERY, 0, CONTENT, id, TOPIC.number, 0],
        );
        payloads.push(Buffer.from(frame.payload));
      }
    }
  }
  return payloads;
}

/** How a subscriber may take a burst. */
const TAKES: Readonly<Record<string, (burst: Burst, writer: FrameWriter, id: number) => void>> = {
  atOnce: (burst, writer, id) => burst.deliver(writer, id),
  later: (burst, writer, id) => burst.asRun(id).deliver(writer),
  inParts(burst, writer, id) {
    const run = burst.asRun(id);
    for (let part = run.split(100); part !== undefined; part = run.split(100)) part.deliver(writer);
    run.deliver(writer);
  },
  oneByOne(burst, writer, id) {
    for (const publication of burst.publications) publication.deliver(writer, id);
  },
  behindALargeBody(burst, writer, id) {
    writer.frame(FrameType.DELIVERY, 0, 0, id, TOPIC.number, 0, new Uint8Array(300_000));
    burst.deliver(writer, id);
  },
  detached(burst, writer, id) {
    burst.detach();
    burst.deliver(writer, id);
  },
};

test('every subscriber gets every message, whole and in order, however each of them takes it', () => {
  const sizes = fc.oneof(
    fc.array(fc.nat(60), { minLength: 1, maxLength: 200 }),
    fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 4 }),
  );
  const takers = fc.array(fc.constantFrom(...Object.keys(TAKES)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(sizes, takers, (some, names) => {
      const { burst, sent, chunk } = received(some);
      const bounds = [chunk.subarray(0, 20).toString('hex'), chunk.subarray(-20).toString('hex')];
      const writers = names.map((name, index) => {
        const writer = new FrameWriter(new SlabPool());
        TAKES[name]?.(burst, writer, index + 1);
        return writer;
      });
      // Written at the end of the turn, when all have been offered it.
      for (const [index, writer] of writers.entries()) assert.deepEqual(delivered(writer, index + 1), sent);
      assert.deepEqual([chunk.subarray(0, 20).toString('hex'), chunk.subarray(-20).toString('hex')], bounds);
    }),
  );
});

test('it counts as many messages and bytes as there are', () => {
  const { burst, sent } = received([1, 2, 3]);
  assert.equal(burst.count, 3);
  assert.equal(
    burst.bytes,
    sent.reduce((sum, { length }) => sum + length + HEADER_BYTES, 0),
  );
});

test('what stands right behind what waits for a subscription waits with it; anything else does not', () => {
  const { burst, chunk } = received([10, 10]);
  const [start, end] = [20, 20 + 2 * (4 + HEADER_BYTES + 12)];
  const behind = new Burst(TOPIC, CONTENT, 1, chunk, end, end + 4 + HEADER_BYTES, LABELS);
  const run = burst.asRun(1);
  assert.deepEqual([run.count, run.bytes], [2, end - start - 8]);
  assert.ok(!burst.join(new Run({ ...TOPIC }, 1, chunk, 0, start)));
  assert.ok(!burst.join(new Run(TOPIC, 2, chunk, 0, start)));
  assert.ok(behind.join(run));
  assert.equal(run.count, 3);
});
