// Chunks become bodies wherever they are cut, and a lying length is refused before it costs memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IPCError } from '../base/errors.ts';
import { FrameCutter } from './frame.ts';

const withCode = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

const HEADERS = [new Uint8Array(16).fill(0x90), new Uint8Array(16).fill(0x92)] as const;

function stream(bodies: readonly Uint8Array[]): Uint8Array {
  const parts = bodies.map((body) => {
    const framed = new Uint8Array(4 + body.length);
    new DataView(framed.buffer).setUint32(0, body.length);
    framed.set(body, 4);
    return framed;
  });
  return Buffer.concat(parts);
}

function cut(cutter: FrameCutter, chunk: Uint8Array): Uint8Array[] {
  const bodies: Uint8Array[] = [];
  cutter.push(chunk);
  while (cutter.next()) bodies.push(Uint8Array.from(cutter.buffer.subarray(cutter.start, cutter.end)));
  return bodies;
}

test('two bodies arrive whole, wherever the stream is cut in three', () => {
  const sent = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6, 7, 8)];
  const bytes = stream(sent);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const cutter = new FrameCutter(100);
      const got = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      assert.deepEqual(
        got.flatMap((chunk) => cut(cutter, chunk)),
        sent,
      );
      assert.equal(cutter.heldBytes, 0);
    }
  }
});

test('any bodies in any chunks arrive as they were', () => {
  const body = fc.uint8Array({ minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(fc.array(body), fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (sent, lengths) => {
      const bytes = stream(sent);
      const cutter = new FrameCutter(400);
      const got: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const length = lengths[turn % lengths.length] as number;
        got.push(...cut(cutter, bytes.subarray(at, at + length)));
        at += length;
      }
      assert.deepEqual(
        got,
        sent.map((one) => Uint8Array.from(one)),
      );
    }),
  );
});

test('a length over the limit is refused at once and costs no memory, even byte by byte', () => {
  for (const chunks of [
    [Uint8Array.of(0x7f, 0xff, 0xff, 0xff)],
    [Uint8Array.of(0x7f)],
    [Uint8Array.of(0), Uint8Array.of(0, 0, 101)],
  ]) {
    let allocated = 0;
    const cutter = new FrameCutter(100, (bytes) => {
      allocated += bytes;
      return new Uint8Array(bytes);
    });
    assert.throws(() => chunks.forEach((chunk) => void cut(cutter, chunk)), withCode('LIMIT_MESSAGE_BYTES'));
    assert.equal(allocated, 0);
  }
});

test('a length of zero is refused', () => {
  assert.throws(() => cut(new FrameCutter(100), new Uint8Array(4)), withCode('PEER_MALFORMED_FRAME'));
});

test('a TLS greeting on a plain port is called what it is', () => {
  assert.throws(
    () => cut(new FrameCutter(100), Uint8Array.of(0x16, 0x03, 0x01, 0x02)),
    (error) => error instanceof IPCError && error.message.includes('TLS'),
  );
});

test('a body that spans chunks gets one buffer of its size', () => {
  const sizes: number[] = [];
  const cutter = new FrameCutter(1000, (bytes) => {
    sizes.push(bytes);
    return new Uint8Array(bytes);
  });
  const bytes = stream([new Uint8Array(900).fill(7)]);
  for (let at = 0; at < bytes.length; at += 100) cut(cutter, bytes.subarray(at, at + 100));
  assert.deepEqual(sizes, [900]);
});

test('bodies that are taken at once are those that would have come one by one, wherever the stream is cut', () => {
  const body = fc.record({ header: fc.nat(2), payload: fc.uint8Array({ maxLength: 40 }) }, { noNullPrototype: true });
  const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(body), cuts, fc.integer({ min: 1, max: 500 }), (sent, lengths, bytesMax) => {
      // Header 0 is too short to be one.
      const bodies = sent.map(({ header, payload }) =>
        header === 0
          ? Uint8Array.of(9, ...payload.subarray(0, 14))
          : Uint8Array.of(...(header === 1 ? HEADERS[0] : HEADERS[1]), ...payload),
      );
      const bytes = stream(bodies);
      const cutter = new FrameCutter(400);
      const got: Uint8Array[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const length = lengths[turn % lengths.length] as number;
        cutter.push(bytes.subarray(at, at + length));
        while (cutter.next()) {
          const { buffer, start, end } = cutter;
          got.push(Uint8Array.from(buffer.subarray(start, end)));
          const more = cutter.alike(bytesMax);
          if (more === undefined) continue;
          const taken = cut(new FrameCutter(400), buffer.subarray(end, more.end));
          assert.equal(taken.length, more.count);
          assert.equal(
            taken.reduce((sum, one) => sum + one.length, 0),
            more.bytes,
          );
          // The last of them may reach over the bound; it begins within it.
          assert.ok(more.bytes - (taken.at(-1)?.length ?? 0) < bytesMax);
          for (const one of taken) assert.deepEqual(one.subarray(0, 16), got.at(-1)?.subarray(0, 16));
          got.push(...taken);
        }
        at += length;
      }
      assert.deepEqual(got, bodies);
    }),
  );
});

test('a length that lies ends what is taken at once, and is refused', () => {
  const whole = Uint8Array.of(...HEADERS[0], 1);
  for (const [length, code] of [
    [0, 'PEER_MALFORMED_FRAME'],
    [401, 'LIMIT_MESSAGE_BYTES'],
  ] as const) {
    const cutter = new FrameCutter(400);
    const lie = stream([whole, whole, new Uint8Array(600)]);
    new DataView(lie.buffer, lie.byteOffset).setUint32(42, length);
    cutter.push(lie);
    assert.ok(cutter.next());
    assert.deepEqual(cutter.alike(10_000), { count: 1, bytes: 17, end: 42 });
    assert.throws(() => cutter.next(), withCode(code));
  }
});
