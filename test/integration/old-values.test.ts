// What JSON cannot say, on its way to an old client: each value arrives as docs/decisions/old-json-values.md
// says, or somebody is told with a code. Never a silent null, and never silence.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { ServerOptions } from '../../src/server/index.ts';
import { bodyOf, OldWire } from '../interop/old-wire.ts';
import { type AtWork, atWork, Collected, withCode } from '../support/broker-at-work.ts';

type Old = AtWork & { readonly wire: OldWire };

async function oldAtWork(t: TestContext, options: ServerOptions = {}): Promise<Old> {
  const work = await atWork(t, 'tcp', { host: '127.0.0.1', ...options });
  const wire = await OldWire.join(work.server.port, 'test', 'old');
  t.after(() => wire.close());
  return { ...work, wire };
}

const say = (type: string, channel: string, payload: unknown = {}, id = channel): string =>
  bodyOf({ message_id: id, message_type: type, channel_id: channel, payload, app_id: 'test' });

const payloadOf = (text: string | undefined): string =>
  /"payload":(.*),"timestamp"/su.exec(text ?? '')?.[1] ?? `none in ${text}`;

/** Something that contains itself. */
function cycle(): unknown {
  const self: Record<string, unknown> = {};
  self['self'] = [self];
  return self;
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = [value];
  return value;
}

const throwing = {
  toJSON(): never {
    throw new Error('not this one');
  },
};

/** What arrives, as text: JSON.parse would not say. */
const CARRIED: readonly (readonly [string, unknown, string])[] = [
  ['a large integer', 2n ** 80n, '1208925819614629174706176'],
  ['large integers inside', { list: [-1n, 2n ** 64n] }, '{"list":[-1,18446744073709551616]}'],
  ['NaN', Number.NaN, 'NaN'],
  ['the infinities', [Infinity, -Infinity], '[Infinity,-Infinity]'],
  ['minus zero', -0, '-0.0'],
  ['nothing at all', undefined, 'null'],
  ['undefined inside', { a: undefined, b: [undefined] }, '{"b":[null]}'],
  ['bytes', { at: Buffer.from('hi') }, '{"at":{"__bytes__":"aGk="}}'],
  ['large integers of an array', BigInt64Array.of(-5n, 7n), '[-5,7]'],
  ['a lone surrogate', '\ud800', '"\ufffd"'],
  ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
];

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['what contains itself', cycle()],
  ['a function', () => 1],
  ['a symbol', Symbol('s')],
  ['a toJSON that throws', throwing],
];

test('what a handler answers reaches an old caller as the page says, at once or later', async (t) => {
  const { app, wire } = await oldAtWork(t);
  const channel = app.createChannel('ask');
  for (const [title, value, expected] of CARRIED) {
    for (const handler of [() => value, () => Promise.resolve(value)]) {
      channel.setHandler('request', handler);
      wire.send(say('request', 'ask'));
      assert.equal(payloadOf(await wire.nextText()), expected, title);
    }
  }
});

test('an answer that the old protocol cannot carry is an error with its code at the old caller', async (t) => {
  const { app, wire } = await oldAtWork(t);
  const channel = app.createChannel('ask');
  for (const [title, value] of [...REFUSED, ['too deep', nested(500)] as const]) {
    for (const handler of [() => value, () => Promise.resolve(value)]) {
      channel.setHandler('request', handler);
      wire.send(say('request', 'ask'));
      const { reply_to: replyTo, payload } = await wire.next();
      const { error, code } = payload as Record<string, unknown>;
      assert.deepEqual({ replyTo, error, code }, { replyTo: 'ask', error: true, code: 'USAGE_UNSERIALIZABLE' }, title);
    }
  }
});

test('a notification to an old client is carried or refused by the same rules', async (t) => {
  const { server, wire } = await oldAtWork(t);
  const [old] = server.connectionManager.listConnections();
  assert.ok(old !== undefined);
  for (const [title, value, expected] of CARRIED) {
    // Text and bytes alone go through here as they are.
    old.notify('news', value);
    const got = payloadOf(await wire.nextText());
    assert.equal(got, title === 'a lone surrogate' ? '"\\ud800"' : expected, title);
  }
  for (const [title, value] of [...REFUSED, ['too deep', nested(500)] as const]) {
    assert.throws(() => old.notify('news', value), withCode('USAGE_UNSERIALIZABLE'), title);
  }
  for (const name of ['', 'a\u0000b', undefined as unknown as string]) {
    assert.throws(() => old.notify(name, 1), withCode('USAGE_INVALID_NAME'));
  }
});

test('a broadcast or publish that cannot be written is refused before anybody hears it', async (t) => {
  const { server, app, client, wire } = await oldAtWork(t);
  const native = await client();
  const heard = new Collected<unknown>();
  native.onNotification('news', ({ payload }) => heard.add(payload));
  await native.subscribe('news', ({ payload }) => heard.add(payload));
  wire.send(say('subscribe', 'news'));
  wire.send(say('request', 'system', { action: 'ping' }));
  await wire.next();
  for (const [title, value] of [...REFUSED, ['a large integer', 1n] as const]) {
    const news = { appId: 'test', channelId: 'news', payload: value };
    assert.throws(() => server.broadcastToApplication('test', news), withCode('USAGE_UNSERIALIZABLE'), title);
    assert.throws(() => server.routeMessage(news), withCode('USAGE_UNSERIALIZABLE'), title);
    assert.throws(() => app.createChannel('news').publish(value), withCode('USAGE_UNSERIALIZABLE'), title);
    assert.throws(() => native.publish('news', value), withCode('USAGE_UNSERIALIZABLE'), title);
  }
  assert.throws(
    () => server.broadcastToApplication('test', { channelId: '', payload: 1 }),
    withCode('USAGE_INVALID_NAME'),
  );
  assert.equal(server.broadcastToApplication('test', { channelId: 'news', payload: 'told' }), 2);
  app.createChannel('news').publish('published');
  assert.deepEqual(await heard.until(2), ['told', 'published']);
  assert.equal((await wire.next())['payload'], 'told');
  assert.equal((await wire.next())['payload'], 'published');
});

test('a broadcast that the old protocol cannot carry reaches the others, and is reported', async (t) => {
  const { server, client } = await oldAtWork(t);
  const native = await client();
  const heard = new Collected<number>();
  native.onNotification('news', ({ bytes }) => heard.add(bytes.length));
  const faults = new Collected<string>();
  server.on('fault', (error) => faults.add((error as { code?: string }).code ?? 'none'));
  assert.equal(server.broadcastToApplication('test', { channelId: 'news', payload: nested(500) }), 1);
  assert.deepEqual(await heard.until(1), [1001]);
  assert.deepEqual(faults.values, ['USAGE_UNSERIALIZABLE']);
});

test('where objects travel in an encoding of the server’s own, old clients read and write JSON all the same', async (t) => {
  // Text that is no JSON stands for a binary encoding.
  const encoding = {
    content: 4,
    encode: (value: unknown): Uint8Array => Buffer.from(`packed:${JSON.stringify(value)}`),
    decode: (bytes: Uint8Array): unknown =>
      JSON.parse(Buffer.from(bytes).toString().slice('packed:'.length)) as unknown,
  };
  const { app, client, wire } = await oldAtWork(t, { encoding });
  const native = await client({ encoding });
  const heard = new Collected<unknown>();
  await native.subscribe('news', ({ payload }) => heard.add(payload));
  await native.serve('work', (message) => ({ worked: message.payload }));
  app.createChannel('ask').setHandler('request', (message) => ({ asked: message.payload }));
  wire.send(say('subscribe', 'news'));
  for (const [channel, expected] of [
    ['ask', { asked: { a: 1 } }],
    ['work', { worked: { a: 1 } }],
  ] as const) {
    wire.send(say('request', channel, { a: 1 }));
    assert.deepEqual((await wire.next())['payload'], expected);
  }
  app.createChannel('news').publish({ by: 'server' });
  assert.deepEqual((await wire.next())['payload'], { by: 'server' });
  native.publish('news', { by: 'native' });
  assert.deepEqual((await wire.next())['payload'], { by: 'native' });
  wire.send(say('publish', 'news', { by: 'old' }));
  assert.deepEqual((await wire.next())['payload'], { by: 'old' });
  assert.deepEqual(await heard.until(3), [{ by: 'server' }, { by: 'native' }, { by: 'old' }]);
});
