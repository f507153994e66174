// The seven keys of the old JSON protocol: what is written, what is read, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IPCError } from '../base/errors.ts';
import { decodeLegacy, encodeLegacy, type LegacyMessage, MESSAGE_TYPES } from './legacy-json.ts';
import { MessageType } from './messages.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

const MESSAGE: LegacyMessage = {
  messageId: '0b0e6a3e-54a0-4d5c-8f0a-6d1f0c2a9b11',
  appId: 'shop',
  channelId: 'orders',
  messageType: MessageType.PUBLISH,
  payload: { id: 7, text: 'Grüße 🌍' },
  timestamp: 1763709600.25,
  replyTo: null,
};

const BODY = {
  message_id: 'm',
  app_id: 'a',
  channel_id: 'c',
  message_type: 'request',
  payload: {},
  timestamp: 1.5,
  reply_to: null,
} as const;

const bytesOf = (value: unknown) => encoder.encode(typeof value === 'string' ? value : JSON.stringify(value));

const message: fc.Arbitrary<LegacyMessage> = fc.record(
  {
    messageId: fc.string({ unit: 'binary' }),
    appId: fc.string({ unit: 'binary' }),
    channelId: fc.string({ unit: 'binary' }),
    messageType: fc.constantFrom(...MESSAGE_TYPES),
    payload: fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__bytes__')),
    timestamp: fc.double({ noNaN: true, noDefaultInfinity: true }),
    replyTo: fc.option(fc.string({ unit: 'binary' })),
  },
  { noNullPrototype: true },
);

function assertOnlyDocumentedErrors(bytes: Uint8Array): void {
  try {
    decodeLegacy(bytes);
  } catch (error) {
    assert.ok(error instanceof IPCError, String(error));
    assert.ok(['PEER_MALFORMED_FRAME', 'PEER_MALFORMED_PAYLOAD'].includes(error.code), error.code);
    assert.ok(error.message.length < 300, error.message);
  }
}

test('a body has exactly the seven keys of the original, in its order', () => {
  assert.equal(
    decoder.decode(encodeLegacy(MESSAGE)),
    '{"message_id":"0b0e6a3e-54a0-4d5c-8f0a-6d1f0c2a9b11","app_id":"shop","channel_id":"orders","message_type":"publish",' +
      '"payload":{"id":7,"text":"Grüße 🌍"},"timestamp":1763709600.25,"reply_to":null}',
  );
});

test('the message types are those of the original, under its names', () => {
  assert.deepEqual(MESSAGE_TYPES, ['request', 'response', 'notification', 'subscribe', 'unsubscribe', 'publish']);
  assert.equal(MessageType.REQUEST, 'request');
});

test('every message comes back as it was', () => {
  fc.assert(
    fc.property(message, (given) => {
      const body = encodeLegacy(given);
      assert.equal(body[0], '{'.charCodeAt(0));
      assert.deepStrictEqual(decodeLegacy(body), given);
    }),
    { numRuns: 1000 },
  );
});

test('what Python writes is read: spaces, ASCII escapes, NaN, integers of any size', () => {
  const body =
    '{"message_id": "m", "app_id": "a", "channel_id": "c", "message_type": "response", "payload": {"t": "\\ud83c\\udf0d \\ud800", ' +
    '"n": NaN, "id": 1763709600123456789}, "timestamp": 1763709600, "reply_to": "r"}';
  assert.deepStrictEqual(decodeLegacy(bytesOf(body)), {
    messageId: 'm',
    appId: 'a',
    channelId: 'c',
    messageType: 'response',
    payload: { t: '🌍 \ud800', n: Number.NaN, id: 1763709600123456789n },
    timestamp: 1763709600,
    replyTo: 'r',
  });
});

test('a timestamp is written as Python writes a float', () => {
  for (const [timestamp, text] of [
    [1763709600, '1763709600.0'],
    [0.5, '0.5'],
    [1e21, '1e+21'],
    [0, '0.0'],
  ] as const) {
    assert.ok(decoder.decode(encodeLegacy({ ...MESSAGE, timestamp })).includes(`"timestamp":${text},`), text);
  }
});

test('a timestamp that is no time is refused when written', () => {
  for (const timestamp of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => encodeLegacy({ ...MESSAGE, timestamp }), {
      code: 'USAGE_UNSERIALIZABLE',
      message: /timestamp/,
    });
  }
});

test('a body is UTF-8 whatever the texts hold', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.integer({ min: 0xd7f0, max: 0xe010 }).map((code) => String.fromCharCode(code)) }),
      (text) => {
        const body = encodeLegacy({ ...MESSAGE, payload: text, channelId: text });
        assert.doesNotThrow(() => decoder.decode(body));
        assert.equal(decodeLegacy(body).payload, text);
      },
    ),
  );
});

test('a missing reply_to means none, as in the original; every other key must be there', () => {
  for (const key of Object.keys(BODY)) {
    const { [key as keyof typeof BODY]: _, ...rest } = BODY;
    if (key === 'reply_to') assert.equal(decodeLegacy(bytesOf(rest)).replyTo, null);
    else
      assert.throws(() => decodeLegacy(bytesOf(rest)), {
        code: 'PEER_MALFORMED_FRAME',
        message: new RegExp(`'${key}' is missing`),
      });
  }
});

test('a wrong type is refused, naming the key, what was expected and what was there', () => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    message_id: [null, 1, [], {}, true],
    app_id: [null, 1, [], {}, false],
    channel_id: [null, 1, [], {}],
    message_type: [null, 1, 'REQUEST', 'ping', '', [], ['request'], 'toString'],
    timestamp: [null, '1.5', [], {}, true],
    reply_to: [1, [], {}, false, 0],
  };
  for (const [key, values] of Object.entries(wrong)) {
    for (const value of values) {
      assert.throws(() => decodeLegacy(bytesOf({ ...BODY, [key]: value })), {
        code: 'PEER_MALFORMED_FRAME',
        message: new RegExp(`key '${key}': expected .+, got .+`),
        details: { key },
      });
    }
  }
  for (const seconds of ['NaN', 'Infinity', '1e400', '9'.repeat(400)]) {
    const body = JSON.stringify(BODY).replace('1.5', seconds);
    assert.throws(
      () => decodeLegacy(bytesOf(body)),
      { code: 'PEER_MALFORMED_FRAME', message: /key 'timestamp'/ },
      seconds,
    );
  }
});

test('every kind of value may be a payload', () => {
  for (const payload of [null, true, 0, -1.5, '', 'x', [], {}, [{}]]) {
    assert.deepStrictEqual(decodeLegacy(bytesOf({ ...BODY, payload })).payload, payload);
  }
});

test('a key that is not one of the seven is refused by name, as the original refuses it', () => {
  for (const key of ['extra', 'messageId', '__proto__', 'x'.repeat(1000)]) {
    const body = `{${JSON.stringify(key)}:1,${JSON.stringify(BODY).slice(1)}`;
    assert.throws(() => decodeLegacy(bytesOf(body)), {
      code: 'PEER_MALFORMED_FRAME',
      message: /^.{0,200}is not one of the seven$/,
    });
  }
});

test('of a key that stands twice the last counts', () => {
  const body = `${JSON.stringify(BODY).slice(0, -1)},"app_id":"b","payload":2}`;
  const read = decodeLegacy(bytesOf(body));
  assert.equal(read.appId, 'b');
  assert.equal(read.payload, 2);
});

test('what is no object is refused', () => {
  for (const body of ['null', '1', '"{}"', '[]', 'NaN', '', ' ', '{"__bytes__":""}', `[${JSON.stringify(BODY)}]`]) {
    assert.throws(() => decodeLegacy(bytesOf(body)), { code: 'PEER_MALFORMED_FRAME' }, body);
  }
});

test('what is not UTF-8, and a byte order mark, is refused', () => {
  const good = bytesOf(BODY);
  for (const bad of [
    Uint8Array.of(0xff),
    Uint8Array.of(0xc0, 0x80),
    Uint8Array.of(0xed, 0xa0, 0x80),
    Uint8Array.of(0xef, 0xbb, 0xbf),
  ]) {
    assert.throws(() => decodeLegacy(Buffer.concat([bad, good])), { code: 'PEER_MALFORMED_FRAME' });
  }
  const inside = Buffer.from(good);
  inside[inside.indexOf('"m"') + 1] = 0x80;
  assert.throws(() => decodeLegacy(inside), { code: 'PEER_MALFORMED_FRAME', message: /not UTF-8/ });
});

test('a body cut anywhere is refused with a documented error', () => {
  const body = encodeLegacy({
    ...MESSAGE,
    payload: { n: Number.NaN, big: 2n ** 70n, bytes: Uint8Array.of(1, 2), t: 'ü' },
  });
  for (let length = 0; length < body.length; length++) {
    assert.throws(() => decodeLegacy(body.subarray(0, length)), { code: 'PEER_MALFORMED_FRAME' }, `cut at ${length}`);
  }
});

test('any bytes give a message or a documented error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), assertOnlyDocumentedErrors), { numRuns: 1000 });
});

test('a body with any few bytes changed gives a message or a documented error', () => {
  const change = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(...encoder.encode('{}[]",:0NI-\\'))));
  fc.assert(
    fc.property(message, fc.array(change, { minLength: 1, maxLength: 4 }), (given, changes) => {
      const body = encodeLegacy(given);
      for (const [at, byte] of changes) body[at % body.length] = byte;
      assertOnlyDocumentedErrors(body);
    }),
    { numRuns: 2000 },
  );
});

test('a payload nested to any depth gives a message or a documented error, and no crash', () => {
  const deep = (depth: number) =>
    bytesOf(JSON.stringify(BODY).replace('{}', `${'['.repeat(depth)}${']'.repeat(depth)}`));
  const read = decodeLegacy(deep(400));
  assert.deepStrictEqual(decodeLegacy(encodeLegacy(read)), read);
  for (const depth of [401, 10_000, 2_000_000]) {
    assert.throws(() => decodeLegacy(deep(depth)), { code: 'PEER_MALFORMED_PAYLOAD' }, String(depth));
  }
});

test('a payload of many megabytes comes back as it was', () => {
  const payload = {
    text: 'ü'.repeat(4_000_000),
    list: Array.from({ length: 200_000 }, (_, index) => index),
    bytes: new Uint8Array(3_000_000).fill(7),
  };
  assert.deepStrictEqual(decodeLegacy(encodeLegacy({ ...MESSAGE, payload })).payload, payload);
});

test('a body longer than any text is refused before it is looked at', () => {
  assert.throws(() => decodeLegacy(new Uint8Array(0x1fffffe9)), {
    code: 'PEER_MALFORMED_FRAME',
    message: /536870889 bytes/,
  });
});

test("an error of the payload when writing is the caller's", () => {
  const cycle: Record<string, unknown> = {};
  cycle['cycle'] = cycle;
  assert.throws(() => encodeLegacy({ ...MESSAGE, payload: cycle }), { code: 'USAGE_UNSERIALIZABLE' });
});
