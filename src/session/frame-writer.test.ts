// What is laid out by a writer comes out of a session as it was, whatever the cuts; and frames of one
// channel keep their order although large bodies go in pieces.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Frame } from '../protocol/codec.ts';
import { FrameFlag, FrameType } from '../protocol/frame-types.ts';
import { DEFAULT_LIMITS, FRAGMENT_BYTES } from '../protocol/limits.ts';
import { FrameWriter } from './frame-writer.ts';
import { Session } from './session.ts';
import { SLAB_BYTES, SlabPool } from './slab-pool.ts';

function openSession(): Session {
  const session = new Session(
    { role: 'server', limits: DEFAULT_LIMITS, heartbeatIntervalMs: 0 },
    new FrameWriter(new SlabPool()),
  );
  session.become('open');
  return session;
}

/** Everything the writer holds, taken in steps of at most `takeBytes`. */
function drain(writer: FrameWriter, takeBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let batch = writer.take(takeBytes); batch !== undefined; batch = writer.take(takeBytes)) {
    for (const part of batch.parts) parts.push(Uint8Array.from(part));
    writer.release(batch);
  }
  return Buffer.concat(parts);
}

/** What a session reads from the bytes, given in chunks of these lengths over and over. */
function receive(bytes: Uint8Array, chunkLengths: readonly number[]): Frame[] {
  const session = openSession();
  const frames: Frame[] = [];
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const length = chunkLengths[turn % chunkLengths.length] as number;
    session.push(bytes.slice(at, at + length), 0);
    for (let frame = session.next(); frame !== undefined; frame = session.next()) frames.push(frame);
    at += length;
  }
  return frames;
}

function patterned(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

test('a frame arrives as it was laid out, wherever the bytes are cut', () => {
  const writer = new FrameWriter(new SlabPool());
  writer.frame(FrameType.PUBLISH, FrameFlag.RETAIN, 3, 7, 9, 0xfffffffe, patterned(40, 1));
  writer.frame(FrameType.REQUEST, 0, 1, 0xffffffff, 1, 5000, new Uint8Array(0));
  const bytes = drain(writer, SLAB_BYTES);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const frames = receive(bytes, [cut, bytes.length]);
    assert.equal(frames.length, 2);
    const [first, second] = frames as [Frame, Frame];
    assert.deepEqual([first.type, first.flags, first.content], [FrameType.PUBLISH, FrameFlag.RETAIN, 3]);
    assert.deepEqual([first.id, first.channel, first.value], [7, 9, 0xfffffffe]);
    assert.deepEqual(Uint8Array.from(first.payload), patterned(40, 1));
    assert.deepEqual([second.id, second.channel, second.value, second.payloadBytes], [0xffffffff, 1, 5000, 0]);
  }
});

test('frames of all sizes arrive whole and in the order of their channel', () => {
  const size = fc.oneof(
    fc.nat(200),
    fc.integer({ min: 8000, max: 8400 }),
    fc.integer({ min: FRAGMENT_BYTES - 40, max: FRAGMENT_BYTES + 40 }),
    fc.integer({ min: FRAGMENT_BYTES, max: 4 * FRAGMENT_BYTES }),
  );
  const frames = fc.array(fc.record({ channel: fc.integer({ min: 1, max: 3 }), size }), { maxLength: 12 });
  const chunks = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(frames, chunks, fc.integer({ min: 1, max: 600_000 }), (sent, lengths, takeBytes) => {
      const writer = new FrameWriter(new SlabPool());
      for (const [index, { channel, size: bytes }] of sent.entries()) {
        writer.frame(FrameType.PUBLISH, 0, 1, index, channel, 0, patterned(bytes, index));
      }
      const received = receive(drain(writer, takeBytes), lengths);
      assert.equal(received.length, sent.length);
      assert.equal(writer.pendingBytes, 0);
      for (const channel of [1, 2, 3]) {
        const expected = [...sent.entries()].filter(([, one]) => one.channel === channel).map(([index]) => index);
        assert.deepEqual(
          received.filter((frame) => frame.channel === channel).map((frame) => frame.id),
          expected,
        );
      }
      for (const frame of received) {
        assert.ok(Buffer.from(patterned((sent[frame.id] as { size: number }).size, frame.id)).equals(frame.payload));
      }
    }),
    { numRuns: 60 },
  );
});

test('a small frame of another channel passes a large one; one of the same channel does not', () => {
  const writer = new FrameWriter(new SlabPool());
  writer.frame(FrameType.PUBLISH, 0, 1, 1, 1, 0, patterned(3 * FRAGMENT_BYTES, 0));
  const first = writer.take(1);
  assert.ok(first !== undefined);
  writer.frame(FrameType.PUBLISH, 0, 1, 2, 1, 0, patterned(10, 0));
  writer.frame(FrameType.PUBLISH, 0, 1, 3, 2, 0, patterned(10, 0));
  const bytes = Buffer.concat([...first.parts, drain(writer, 1)]);
  assert.deepEqual(
    receive(bytes, [bytes.length]).map((frame) => frame.id),
    [3, 1, 2],
  );
});

test('a large payload is not copied', () => {
  const writer = new FrameWriter(new SlabPool());
  const payload = patterned(50_000, 1);
  writer.frame(FrameType.PUBLISH, 0, 1, 1, 1, 0, payload);
  const batch = writer.take(SLAB_BYTES);
  assert.ok(batch?.parts.includes(payload));
});

/** Small frames one behind the other, as they stand in what was received, and where each begins and ends. */
function standing(count: number): { memory: Uint8Array; spans: readonly (readonly [start: number, end: number])[] } {
  const writer = new FrameWriter(new SlabPool());
  const spans: [number, number][] = [];
  for (let id = 1; id <= count; id += 1) {
    const start = writer.pendingBytes;
    writer.frame(FrameType.PUBLISH, 0, 1, id, 1, 0, patterned(id % 50, id));
    spans.push([start, writer.pendingBytes]);
  }
  return { memory: drain(writer, SLAB_BYTES), spans };
}

test('lent frames and others arrive in the order in which they were laid out, large bodies after both', () => {
  const { memory, spans } = standing(400);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('lend', 'skip', 'frame'), { maxLength: 400 }),
      fc.boolean(),
      (steps, large) => {
        const writer = new FrameWriter(new SlabPool());
        const expected: number[] = [];
        for (const [index, step] of steps.entries()) {
          const id = index + 1;
          const [start, end] = spans[index] as readonly [number, number];
          if (step === 'lend') writer.lend(memory, start, end);
          else if (step === 'frame') writer.frame(FrameType.PUBLISH, 0, 1, id, 1, 0, patterned(id % 50, id));
          if (step !== 'skip') expected.push(id);
        }
        if (large) {
          writer.frame(FrameType.PUBLISH, 0, 1, 0, 1, 0, patterned(2 * FRAGMENT_BYTES, 0));
          expected.push(0);
        }
        const laidOut = writer.pendingBytes;
        const bytes = drain(writer, SLAB_BYTES);
        if (!large) assert.equal(bytes.length, laidOut);
        const received = receive(bytes, [1000]);
        assert.deepEqual(
          received.map((frame) => frame.id),
          expected,
        );
        for (const { id, payload } of received) {
          if (id > 0) assert.deepEqual(Uint8Array.from(payload), patterned(id % 50, id));
        }
      },
    ),
  );
});

test('a long run of lent frames is one part and not copied; a short one is copied, and holds no memory', () => {
  const { memory, spans } = standing(400);
  const writer = new FrameWriter(new SlabPool());
  for (const [start, end] of spans) writer.lend(memory, start, end);
  const whole = writer.take(SLAB_BYTES);
  assert.deepEqual(
    whole?.parts.map((part) => [part.buffer === memory.buffer, part.length]),
    [[true, memory.length]],
  );
  for (const [start, end] of spans.slice(0, 3)) writer.lend(memory, start, end);
  const short = writer.take(SLAB_BYTES);
  assert.ok(short?.parts.every((part) => part.buffer !== memory.buffer));
});

test('pending bytes are those of the frames that were laid out and not taken', () => {
  const writer = new FrameWriter(new SlabPool());
  writer.frame(FrameType.PUBLISH, 0, 1, 1, 1, 0, patterned(100, 0));
  assert.equal(writer.pendingBytes, 120);
  drain(writer, SLAB_BYTES);
  assert.equal(writer.pendingBytes, 0);
  writer.frame(FrameType.PUBLISH, 0, 1, 1, 1, 0, patterned(2 * FRAGMENT_BYTES, 0));
  writer.clear();
  assert.equal(writer.pendingBytes, 0);
});
