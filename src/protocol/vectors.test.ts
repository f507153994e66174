// docs/protocol.md is normative: its tables are those of the code, and its vectors are what the code
// writes and reads.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERROR_CODES, type ErrorCode } from '../base/error-codes.ts';
import { CLOSE_CODES } from './close-codes.ts';
import { decodeFrame, encodeFrame } from './codec.ts';
import { ContentType, ExtensionKey, FrameFlag, FrameType } from './frame-types.ts';

const page = readFileSync('docs/protocol.md', 'utf8');

/** The cells of the rows of a section's tables, headings left out. */
function rows(section: string): string[][] {
  const from = page.indexOf(`\n${section}\n`);
  assert.ok(from >= 0, `no section ${section}`);
  const body = page.slice(from + section.length + 2);
  const until = body.search(/\n##+ /);
  return (until < 0 ? body : body.slice(0, until))
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith('|--') && !line.startsWith('| ---'))
    .slice(1)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('the table of frame types is that of the code', () => {
  const documented = rows('## Frame types').map(([code, name]) => [name, Number(code)]);
  assert.deepEqual(Object.fromEntries(documented), FrameType);
});

test('the table of flags is that of the code', () => {
  const documented = rows('### Flags').map(([bit, name]) => [name, Number(bit)]);
  assert.deepEqual(Object.fromEntries(documented), FrameFlag);
});

test('the table of extensions is that of the code', () => {
  const documented = rows('### Extensions').map(([key, name]) => [name, Number(key)]);
  assert.deepEqual(Object.fromEntries(documented), ExtensionKey);
});

test('the table of content types names each one', () => {
  const cells = rows('### Content types').map(([code, names]) => [code, names] as const);
  const documented: Record<string, number> = {};
  for (const [code, names] of cells) {
    const first = Number((code as string).split('–')[0]);
    for (const [index, name] of (names as string).split(', ').entries()) documented[name] = first + index;
  }
  assert.deepEqual(documented, ContentType);
});

test('the table of close codes is that of the code, with what trying again is worth', () => {
  const documented = rows('## Close codes');
  assert.deepEqual(Object.fromEntries(documented.map(([number, code]) => [code, Number(number)])), CLOSE_CODES);
  for (const [number, code, retry] of documented) {
    assert.equal(retry === 'yes', ERROR_CODES[code as ErrorCode].retry, `${code}`);
    assert.equal(retry === 'yes', Number(number) < 4100, `${code} stands in the wrong range`);
  }
});

const vectors = rows('## Test vectors');

test('there is a vector for each kind of frame layout', () => {
  assert.ok(vectors.length >= 16);
});

for (const [title, type, flags, content, id, channel, value, bytes] of vectors) {
  test(`vector: ${title}`, () => {
    const wire = Buffer.from((bytes as string).replace(/[` ]/g, ''), 'hex');
    assert.equal(wire.readUInt32BE(0), wire.length - 4);
    const frame = decodeFrame(wire, 4, wire.length);
    const fields = [frame.type, frame.flags, frame.content, frame.id, frame.channel, frame.value];
    assert.deepEqual(fields, [Number.parseInt(type as string, 16), flags, content, id, channel, value].map(Number));
    const again = encodeFrame({ ...frame, payload: frame.payload, extensions: frame.extensions });
    assert.deepEqual(Buffer.from(again), wire.subarray(4));
  });
}
