import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ACK_LINE, decodeLine, encodeLine, failureLine, LineSplitter, refusalOf } from './original-lines.ts';

const withoutNewline = (line: Buffer): Buffer => line.subarray(0, -1);

test('the acknowledgement is QUNL and a newline', () => {
  assert.equal(ACK_LINE.toString('latin1'), 'QUNL\n');
  assert.equal(refusalOf(withoutNewline(ACK_LINE)), undefined);
});

test('text survives encoding and decoding, the empty one too', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const payload = Buffer.from(text);
      assert.deepEqual(decodeLine(withoutNewline(encodeLine(payload))), payload);
    }),
  );
});

test('what is not base64 of UTF-8 is not decoded', () => {
  for (const line of ['abc', 'ab=c', '****', 'QUNL QUNL', '/w==']) {
    assert.equal(decodeLine(Buffer.from(line)), undefined, line);
  }
});

test('an answer that is no acknowledgement is given as text', () => {
  assert.equal(refusalOf(withoutNewline(failureLine('no room'))), 'ERROR: no room');
  assert.equal(refusalOf(Buffer.from('?')), '?');
});

test('lines are cut out of chunks of any size', () => {
  const line = fc.stringMatching(/^[A-Za-z0-9]{0,60}$/);
  fc.assert(
    fc.property(fc.array(line), fc.integer({ min: 1, max: 50 }), (lines, size) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const splitter = new LineSplitter(100);
      const found: (Buffer | undefined)[] = [];
      for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)));
      assert.deepEqual(
        found.map((one) => one?.toString()),
        lines,
      );
    }),
  );
});

test('a line over the limit is reported once, without its bytes; the next one is read', () => {
  const splitter = new LineSplitter(4);
  const found = ['123', '456', '7\nab', 'c\n12345\nabcd\n'].flatMap((chunk) => splitter.push(Buffer.from(chunk)));
  assert.deepEqual(
    found.map((line) => line?.toString()),
    [undefined, 'abc', undefined, 'abcd'],
  );
});
