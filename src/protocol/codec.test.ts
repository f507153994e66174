// The header to the bit, and every malformed body refused with a code.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { decodeFrame, encodeExtensions, encodeFrame } from './codec.ts';
import { ExtensionKey, FrameFlag, FrameType, HEADER_BYTES } from './frame-types.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const withCode = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

test('a frame is written to the bit as the protocol page draws it', () => {
  const body = encodeFrame({
    type: FrameType.PUBLISH,
    flags: FrameFlag.RETAIN,
    content: 2,
    id: 1,
    channel: 0x01020304,
    value: 0xfffefdfc,
    payload: hex('686921'),
  });
  assert.deepEqual(body, hex('90 04 02 00  00000001  01020304  fffefdfc  686921'));
});

test('extensions stand between header and payload, and unknown ones are skipped', () => {
  const extensions = new Map([
    [ExtensionKey.MESSAGE_ID, hex('6162')],
    [0x7f, hex('00')],
  ]);
  const body = encodeFrame({ type: FrameType.PUBLISH, extensions, payload: hex('ff') });
  assert.deepEqual(body.subarray(HEADER_BYTES), hex('0009  05 0002 6162  7f 0001 00  ff'));
  const frame = decodeFrame(body, 0, body.length);
  assert.deepEqual(frame.extensions, extensions);
  assert.deepEqual(frame.payload, hex('ff'));
});

test('a body cut anywhere within its header or extensions is malformed', () => {
  const extensions = new Map([[ExtensionKey.MESSAGE_ID, hex('6162')]]);
  const body = encodeFrame({ type: FrameType.PUBLISH, extensions });
  for (let end = 0; end < body.length; end += 1) {
    assert.throws(() => decodeFrame(body, 0, end), withCode('PEER_MALFORMED_FRAME'), `cut at ${end}`);
  }
});

test('a type below or above the known ones is refused by name', () => {
  for (const type of [0x00, 0x7b, 0x7f, 0x99, 0xff]) {
    const body = new Uint8Array(HEADER_BYTES);
    body[0] = type;
    assert.throws(() => decodeFrame(body, 0, body.length), withCode('PEER_UNKNOWN_FRAME'));
  }
});

test('an extension that must be understood and is not is refused', () => {
  const body = encodeFrame({ type: FrameType.PUBLISH, extensions: new Map([[0x80, hex('00')]]) });
  assert.throws(() => decodeFrame(body, 0, body.length), withCode('PEER_UNKNOWN_EXTENSION'));
});

test('more extensions than a block can hold are refused at the sender', () => {
  assert.throws(
    () => encodeExtensions(new Map([[ExtensionKey.HEADERS, new Uint8Array(65_536)]])),
    withCode('USAGE_INVALID_OPTION'),
  );
});
