// MessagePack brought along as docs/encodings.md says: between those who know it, next to those who do not,
// and next to clients of the old protocol, which know JSON alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '@msgpack/msgpack';
import { ContentType, IPCClient, type PayloadCodec } from '../../src/client/index.ts';
import { IPCServer } from '../../src/server/index.ts';
import { coded, furnish, once, scene } from '../support/client-scene.ts';

const messagePack: PayloadCodec = { content: ContentType.MESSAGEPACK, encode, decode };

/** Holds what JSON cannot. */
const VALUE = { when: new Date(1e12), bytes: new Uint8Array([1, 2, 255]), none: null, much: Number.POSITIVE_INFINITY };

test('requests, responses, streams and events are MessagePack; bytes, text and typed arrays stay what they are', async () => {
  await using stage = await scene({ encoding: messagePack });
  const shop = stage.server.getApplication('shop');
  shop?.createChannel('echo').setHandler('request', ({ payload }) => payload);
  const client = await stage.client({ encoding: messagePack });
  const subscription = await client.subscribe('news');
  for (const value of [VALUE, [1, 'two'], 'text', new Uint8Array([7]), new Float64Array([1.5]), null, 3, undefined]) {
    assert.deepEqual(toPlain(await client.call('echo', value)), toPlain(value));
    await client.publishConfirmed('news', value);
    assert.deepEqual(toPlain((await subscription.next()).value?.payload), toPlain(value));
  }
  const items: unknown[] = [];
  for await (const item of client.stream('count', 2)) items.push(item);
  assert.deepEqual(items, [{ i: 0 }, { i: 1 }]);
});

test('what the codec cannot write is refused at the caller', async () => {
  await using stage = await scene({ encoding: messagePack });
  const client = await stage.client({ encoding: messagePack });
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  for (const value of [cycle, { f: () => 1 }, { big: 2n ** 80n }]) {
    await assert.rejects(client.call('sum', value), coded('USAGE_UNSERIALIZABLE'));
    assert.throws(() => client.publish('news', value), coded('USAGE_UNSERIALIZABLE'));
  }
  assert.equal(await client.call('sum', [1, 2]), 3);
});

test('who does not know the encoding is told so when it reads, and keeps its connection', async () => {
  await using stage = await scene({ encoding: messagePack });
  const knows = await stage.client({ encoding: messagePack });
  const lacks = await stage.client();
  // JSON is known to everybody.
  const told = await knows.subscribe('news');
  await lacks.publishConfirmed('news', { by: 'json' });
  assert.deepEqual((await told.next()).value?.payload, { by: 'json' });
  await assert.rejects(lacks.call('count', 1), coded('REMOTE_STREAMS'));
  await assert.rejects(lacks.call('sum', [1, 2]), coded('PEER_MALFORMED_PAYLOAD'));
  const failed = once<[error: Error]>((listener) => lacks.onError(listener));
  await lacks.subscribe('news', ({ payload }) => payload);
  await knows.publishConfirmed('news', { by: 'messagepack' });
  const [error] = await failed;
  assert.ok(coded('PEER_MALFORMED_PAYLOAD')(error), String(error));
  assert.match(error.message, /content type 4 is not known here/);
  assert.equal(lacks.connected, true);
});

test('a handler of a server without the encoding fails for its caller alone', async () => {
  await using stage = await scene();
  const client = await stage.client({ encoding: messagePack });
  await assert.rejects(client.call('sum', [1, 2]), coded('PEER_MALFORMED_PAYLOAD'));
  // What it only forwards it does not read.
  const other = await stage.client({ encoding: messagePack });
  const subscription = await other.subscribe('news');
  await client.publishConfirmed('news', { deep: [VALUE] });
  assert.deepEqual(toPlain((await subscription.next()).value?.payload), toPlain({ deep: [VALUE] }));
  await other.serve('twice', ({ payload }) => [payload, payload]);
  assert.deepEqual(await client.call('twice', { n: 1 }), [{ n: 1 }, { n: 1 }]);
});

test('an old client on the same channel gets JSON, and what it sends is read', async () => {
  await using stage = await scene({ encoding: messagePack });
  const client = await stage.client({ encoding: messagePack });
  const old = await stage.client({ protocol: 'json' });
  const heard = await client.subscribe('news');
  const heardOld = await old.subscribe('news');
  await old.ping();
  await client.publishConfirmed('news', { n: 1, bytes: new Uint8Array([1, 2]) });
  assert.deepEqual(toPlain((await heardOld.next()).value?.payload), { n: 1, bytes: { bytes: [1, 2] } });
  await heard.next();
  old.publish('news', { n: 2 });
  assert.deepEqual((await heard.next()).value?.payload, { n: 2 });
  assert.equal(await old.call('sum', [1, 2]), 3);
  await client.serve('twice', ({ payload }) => [payload, payload]);
  assert.deepEqual(await old.call('twice', [3]), [[3], [3]]);
});

test('where the server lacks the encoding, an old client misses such messages, and that is reported', async () => {
  const server = furnish(new IPCServer({ port: 0 }));
  await server.start();
  const faults: Error[] = [];
  server.on('fault', (error) => faults.push(error));
  await using client = new IPCClient('shop', { port: server.port, encoding: messagePack });
  await using old = new IPCClient('shop', { port: server.port, protocol: 'json' });
  await Promise.all([client.connect(), old.connect()]);
  const heard = await old.subscribe('news');
  await old.ping();
  await client.publishConfirmed('news', { lost: true });
  await client.publishConfirmed('news', 'text');
  assert.equal((await heard.next()).value?.payload, 'text');
  assert.equal(faults.length, 1);
  assert.match(String(faults[0]), /content type 4 is not known here/);
  await client.serve('twice', ({ payload }) => [payload]);
  await assert.rejects(old.call('twice', 1), coded('PEER_MALFORMED_PAYLOAD'));
  await server.stop();
});

test('a codec of the program’s own has a number of its own', () => {
  const codec = (content: unknown) => ({ content, encode, decode }) as PayloadCodec;
  for (const content of [0, 1, 2, 5, 16, 127, 256, 1.5, '4', undefined]) {
    for (const make of [
      () => new IPCClient('shop', { encoding: codec(content) }),
      () => new IPCServer({ encoding: codec(content) }),
    ]) {
      assert.throws(make, { code: 'USAGE_INVALID_OPTION', message: /encoding/ }, String(content));
    }
  }
  for (const content of [3, 4, 128, 255]) assert.ok(new IPCClient('shop', { encoding: codec(content) }));
});

/** Buffers and Uint8Arrays of the same bytes are the same. */
function toPlain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toPlain(one)]));
}
