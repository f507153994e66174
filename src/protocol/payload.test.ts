// Every kind of value arrives as what it was; what cannot is a clear error at the side that is to blame.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { ContentType } from './frame-types.ts';
import { decodePayload, encodePayload, type PayloadCodec } from './payload.ts';

const withCode = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;
const roundTrip = (value: unknown, codec?: PayloadCodec): unknown => {
  const { content, bytes } = encodePayload(value, codec);
  return decodePayload(content, bytes, codec);
};

test('values arrive as they were', () => {
  for (const value of [undefined, null, true, 0, -1.5, '', 'grüße ☃ 😀', [], {}, { a: [1, { b: null }] }]) {
    assert.deepEqual(roundTrip(value), value);
  }
});

test('bytes arrive as bytes, whatever view they were sent as', () => {
  const bytes = Uint8Array.of(0, 255, 128, 10);
  for (const value of [bytes, Buffer.from(bytes), bytes.buffer, new DataView(bytes.buffer)]) {
    assert.equal(encodePayload(value).content, ContentType.BYTES);
    assert.deepEqual(Uint8Array.from(roundTrip(value) as Uint8Array), bytes);
  }
});

test('typed arrays arrive as their own type, from any offset', () => {
  for (const value of [
    Int8Array.of(-1, 2),
    Uint8ClampedArray.of(1, 255),
    Int16Array.of(-300, 300),
    Uint16Array.of(65_535),
    Int32Array.of(-70_000),
    Uint32Array.of(4_000_000_000),
    Float32Array.of(0.5, -2),
    Float64Array.of(Math.PI, Number.NaN),
    BigInt64Array.of(-5n),
    BigUint64Array.of(2n ** 63n),
  ]) {
    const { content, bytes } = encodePayload(value);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    assert.deepEqual(decodePayload(content, shifted.subarray(1)), value);
  }
});

test('what JSON cannot carry is refused at the sender', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  for (const value of [cycle, 1n, () => 1, Symbol('s')]) {
    assert.throws(() => encodePayload(value), withCode('USAGE_UNSERIALIZABLE'));
  }
});

test('bytes that are not what their content type says are the sender’s fault', () => {
  for (const [content, bytes] of [
    [ContentType.JSON, '7b'],
    [ContentType.TEXT, 'ff'],
    [ContentType.INT32, '010203'],
    [200, '00'],
  ] as const) {
    assert.throws(() => decodePayload(content, Buffer.from(bytes, 'hex')), withCode('PEER_MALFORMED_PAYLOAD'));
  }
});

test('a codec that was brought along encodes objects, and only them', () => {
  const codec: PayloadCodec = {
    content: ContentType.MESSAGEPACK,
    encode: (value) => Buffer.from(`<${JSON.stringify(value)}>`),
    decode: (bytes) => JSON.parse(Buffer.from(bytes).toString().slice(1, -1)) as unknown,
  };
  assert.equal(encodePayload({ a: 1 }, codec).content, ContentType.MESSAGEPACK);
  assert.deepEqual(roundTrip({ a: 1 }, codec), { a: 1 });
  assert.equal(encodePayload('text', codec).content, ContentType.TEXT);
});
