import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cancelFrame,
  doneFrame,
  failedFrame,
  type Frame,
  FrameDecoder,
  goodbyeFrame,
  helloFrame,
  MalformedFrame,
  isSmall,
  messageHead,
  mostMessageBytes,
  welcomeFrame,
  writeMessage,
} from './frames.ts';

const ID = '00112233445566778899aabbccddeeff';

function decode(bytes: Buffer, cuts: readonly number[], maxMessageBytes = 1_000): Frame[] {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(maxMessageBytes, (frame) => frames.push(frame));
  let start = 0;
  for (const cut of [...cuts, bytes.length].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b)) {
    decoder.push(bytes.subarray(start, cut));
    start = cut;
  }
  return frames;
}

function message(seq: number, isText: boolean, id: string, payload: Buffer): Buffer {
  return Buffer.concat([messageHead(seq, isText, id, payload.length), payload]);
}

test('frames are read as they were written, however the bytes are cut', () => {
  const frame = fc.record({
    seq: fc.nat(2 ** 32 - 1),
    isText: fc.boolean(),
    id: fc.string({ maxLength: 50 }),
    payload: fc.uint8Array({ maxLength: 1_000 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(9_000)), (sent, cuts) => {
      const bytes = Buffer.concat(
        sent.map(({ seq, isText, id, payload }) => message(seq, isText, id, Buffer.from(payload))),
      );
      const expected = sent.map((one) => ({ type: 'message', ...one, payload: Buffer.from(one.payload) }));
      assert.deepEqual(decode(bytes, cuts), expected);
    }),
  );
});

test('every other frame is read as it was written', () => {
  const bytes = Buffer.concat([
    helloFrame(ID),
    cancelFrame(7),
    welcomeFrame(ID, 4_294_967_295),
    doneFrame([1, 2, 4_294_967_295]),
    failedFrame(9, 'REMOTE_CLOSED', 'aus 🦊'),
    goodbyeFrame('LIMIT_CONNECTIONS'),
  ]);
  assert.deepEqual(decode(bytes, []), [
    { type: 'hello', version: 1, sender: ID },
    { type: 'cancel', seq: 7 },
    { type: 'welcome', version: 1, instance: ID, maxMessageBytes: 4_294_967_295 },
    { type: 'done', seqs: [1, 2, 4_294_967_295] },
    { type: 'failed', seq: 9, code: 'REMOTE_CLOSED', text: 'aus 🦊' },
    { type: 'goodbye', code: 'LIMIT_CONNECTIONS' },
  ]);
});

test('a message over the limit is reported with its sequence and skipped; the next one is read', () => {
  const bytes = Buffer.concat([message(1, true, '', Buffer.alloc(5_000)), message(2, true, '', Buffer.from('next'))]);
  for (const cuts of [[], [3], [8], [11], [100, 4_000], [5_011]]) {
    assert.deepEqual(decode(bytes, cuts), [
      { type: 'oversize', seq: 1, bytes: 5_000 },
      { type: 'message', seq: 2, isText: true, id: '', payload: Buffer.from('next') },
    ]);
  }
});

test('a length that lies costs no memory: it is refused before a buffer is made', () => {
  const before = process.memoryUsage().arrayBuffers;
  const lie = Buffer.from([0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0, 1, 9]);
  assert.deepEqual(decode(lie, []), [{ type: 'oversize', seq: 1, bytes: 0xff_ff_ff_ff - 7 }]);
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
});

test('bytes that are no frame are refused: empty, unknown type, too short, an id that does not end', () => {
  const bad = [
    [0, 0, 0, 0],
    [0, 0, 0, 1, 99],
    [0, 0, 0, 2, 2, 0],
    [0, 0, 0, 7, 2, 0, 9, 0, 0, 0, 1],
    [0, 0, 0, 4, 5, 0, 0, 0],
    [0, 0, 0, 7, 5, 0, 0, 0, 0, 0, 0],
    [0, 255, 255, 255, 5, 0, 0, 0, 0, 0, 0],
  ];
  for (const bytes of bad) assert.throws(() => decode(Buffer.from(bytes), []), MalformedFrame, String(bytes));
});

test('a message that is written in place is the same, byte for byte, and fits into what it may take', () => {
  const text = fc.string({ unit: 'binary', maxLength: 300 });
  const payload = fc.oneof(text, fc.uint8Array({ maxLength: 300 }));
  fc.assert(
    fc.property(
      fc.nat(2 ** 32 - 1),
      fc.string({ unit: 'binary', maxLength: 60 }),
      payload,
      fc.nat(50),
      (seq, id, one, at) => {
        const into = Buffer.alloc(at + mostMessageBytes(id, one), 0xee);
        const end = writeMessage(into, at, seq, id, one);
        assert.deepEqual(into.subarray(at, end), message(seq, typeof one === 'string', id, Buffer.from(one as string)));
        assert.ok(into.subarray(0, at).every((byte) => byte === 0xee));
      },
    ),
  );
});

test('a text that is no UTF-16 is written as the text that UTF-8 makes of it', () => {
  const broken = 'a\ud83d';
  const into = Buffer.alloc(mostMessageBytes('', broken));
  const end = writeMessage(into, 0, 1, '', broken);
  assert.deepEqual(into.subarray(0, end), message(1, true, '', Buffer.from(broken)));
});

test('what is small is so in bytes, whatever its text is made of', () => {
  for (const text of ['x', 'ü', '語']) {
    let most = text;
    while (isSmall(most + text)) most += text;
    assert.ok(Buffer.byteLength(most) <= 12 * 1024);
  }
  assert.equal(isSmall(Buffer.alloc(100_000)), false);
});
