// The rules of messages: lazy, stable, and the same on both sides of JSON.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { decodeFrame, encodeFrame } from './codec.ts';
import { ContentType, ExtensionKey, FrameFlag, FrameType } from './frame-types.ts';
import { Message, MessageType } from './messages.ts';

const text = (value: string) => new TextEncoder().encode(value);

function received(payload: Uint8Array, content: number, extensions?: ReadonlyMap<number, Uint8Array>) {
  const body = encodeFrame({ type: FrameType.DELIVERY, flags: FrameFlag.RETAIN, content, payload, extensions });
  const frame = decodeFrame(body, 0, body.length);
  return new Message(MessageType.PUBLISH, 'shop', 'orders', frame, undefined, 'c7', 3, 1500, null, undefined);
}

test('a payload is decoded when it is looked at and only once', () => {
  const message = received(text('{"a":1}'), ContentType.JSON);
  assert.deepEqual(message.payload, { a: 1 });
  assert.equal(message.payload, message.payload);
  assert.deepEqual(message.bytes, text('{"a":1}'));
  assert.equal(message.contentType, ContentType.JSON);
});

test('a payload that does not decode is an error of the one who looks, not of the message', () => {
  const message = received(text('{'), ContentType.JSON);
  assert.equal(message.channelId, 'orders');
  assert.throws(
    () => message.payload,
    (error) => error instanceof IPCError && error.code === 'PEER_MALFORMED_PAYLOAD',
  );
});

test('id and time come from the connection unless the sender gave them', () => {
  const plain = received(text('x'), ContentType.TEXT);
  assert.equal(plain.messageId, 'c7-3');
  assert.equal(plain.timestamp, 1.5);
  const seconds = new Uint8Array(8);
  new DataView(seconds.buffer).setFloat64(0, 1234.25);
  const extended = received(
    text('x'),
    ContentType.TEXT,
    new Map([
      [ExtensionKey.MESSAGE_ID, text('mine')],
      [ExtensionKey.TIMESTAMP, seconds],
      [ExtensionKey.TRACE_PARENT, text('00-ab-cd-01')],
      [ExtensionKey.SENDER, text('c9')],
      [ExtensionKey.HEADERS, text('{"k":"v"}')],
    ]),
  );
  assert.equal(extended.messageId, 'mine');
  assert.equal(extended.timestamp, 1234.25);
  assert.equal(extended.traceParent, '00-ab-cd-01');
  assert.equal(extended.sender, 'c9');
  assert.deepEqual(extended.headers, { k: 'v' });
  assert.equal(extended.retained, true);
});

test('a message survives JSON with its seven keys', () => {
  const message = received(text('"ü"'), ContentType.JSON);
  const copy = Message.fromJson(message.toJson());
  assert.deepEqual(copy.toDict(), message.toDict());
  assert.deepEqual(Object.keys(copy.toDict()), [
    'message_id',
    'app_id',
    'channel_id',
    'message_type',
    'payload',
    'timestamp',
    'reply_to',
  ]);
  assert.equal(JSON.stringify(message), message.toJson());
});

test('a response answers by id, on the same channel', () => {
  const request = Message.create({ messageType: 'request', appId: 'a', channelId: 'c', messageId: 'r1', payload: 1 });
  const response = request.createResponse({ ok: true }, 9);
  assert.deepEqual(response.toDict(), {
    message_id: 'r1-response',
    app_id: 'a',
    channel_id: 'c',
    message_type: 'response',
    payload: { ok: true },
    timestamp: 9,
    reply_to: 'r1',
  });
});

test('a message that lacks a key names it', () => {
  const whole = Message.create({ messageType: 'publish', appId: 'a', channelId: 'c', messageId: 'm' }).toDict();
  for (const key of ['message_id', 'app_id', 'channel_id', 'message_type', 'timestamp']) {
    const broken = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key));
    assert.throws(
      () => Message.fromDict(broken),
      (error) => error instanceof IPCError && error.details['key'] === key,
    );
  }
  assert.throws(() => Message.fromJson('nope'), IPCError);
  assert.throws(() => Message.fromDict([]), IPCError);
});
