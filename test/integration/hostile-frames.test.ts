// Frames that are well formed and mean harm: ids used twice or never issued, credit without end, floods that
// nobody reads the answers of. Either nothing happens, or that one connection ends and says why.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ContentType, CreditKind, FrameFlag, FrameType, HEADER_BYTES } from '../../src/protocol/frame-types.ts';
import { atWork, Collected, deferred } from '../support/broker-at-work.ts';
import { declare, frame, json, RawNative, request } from '../support/raw-native.ts';

const U32_MAX = 0xffffffff;
const subscribe = (id: number, pattern: string, creditBytes = 0): Buffer =>
  frame({ type: FrameType.SUBSCRIBE, id, value: creditBytes, payload: json({ pattern }) });

test('CANCEL, CREDIT, answers and stream data for ids that nobody issued are ignored', async (t) => {
  const work = await atWork(t);
  work.app.createChannel('echo').setHandler('request', (message) => message.payload);
  const raw = await RawNative.join(work, declare(1, 'echo'));
  const credits = [CreditKind.SUBSCRIPTION, CreditKind.STREAM].map((content) =>
    frame({ type: FrameType.CREDIT, id: 99, content, value: U32_MAX }),
  );
  const types = [FrameType.CANCEL, FrameType.RESPONSE, FrameType.STREAM_DATA, FrameType.STREAM_END, FrameType.OK];
  raw.send(...credits, ...types.map((type) => frame({ type, id: 99 })));
  raw.send(frame({ type: FrameType.ERROR, id: 99, payload: json({ code: { toString: 1 }, message: [] }) }));
  raw.send(
    frame({ type: FrameType.UNSUBSCRIBE, id: 5, value: 99 }),
    frame({ type: FrameType.UNSERVE, id: 6, value: 9 }),
  );
  raw.send(request(7, 1, 'alive'));
  assert.equal((await raw.next(FrameType.RESPONSE)).id, 7);
  raw.close();
});

test('UNSUBSCRIBE twice is answered twice and ends the subscription once', async (t) => {
  const work = await atWork(t);
  const raw = await RawNative.join(work, subscribe(1, 'a'), subscribe(2, 'a'));
  for (const id of [3, 4]) raw.send(frame({ type: FrameType.UNSUBSCRIBE, id, value: 1 }));
  for (const id of [1, 2, 3, 4]) assert.equal((await raw.next(FrameType.OK)).id, id);
  assert.equal(work.app.createChannel('a').publish('x').receivers, 1);
  raw.close();
});

test('SERVE of one channel many times is one worker, and UNSERVE of the last id ends it', async (t) => {
  const work = await atWork(t);
  const serve = (id: number): Buffer => frame({ type: FrameType.SERVE, id, payload: json({ channel: 'work' }) });
  const raw = await RawNative.join(work, ...Array.from({ length: 1000 }, (_, i) => serve(i + 1)));
  for (let i = 0; i < 1000; i += 1) await raw.next(FrameType.OK);
  assert.equal(work.app.getChannel('work')?.workers.size, 1);
  raw.send(frame({ type: FrameType.UNSERVE, id: 2000, value: 1 }));
  assert.equal((await raw.next(FrameType.OK)).id, 2000);
  assert.equal(work.app.getChannel('work')?.workers.size, 1);
  raw.send(frame({ type: FrameType.UNSERVE, id: 2001, value: 1000 }));
  assert.equal((await raw.next(FrameType.OK)).id, 2001);
  assert.equal(work.app.getChannel('work')?.workers.size ?? 0, 0);
  raw.close();
});

for (const place of ['handler', 'middleware'] as const) {
  test(`a request id that is used again while the ${place} still works ends the connection; nothing stays open`, async (t) => {
    const work = await atWork(t);
    const { server } = work;
    const begun = new Collected<string>();
    const never = new Promise<boolean>(() => undefined);
    const channel = work.app.createChannel('slow').setHandler('request', () => {
      begun.add('handler');
      return never;
    });
    if (place === 'middleware') {
      channel.use(() => {
        begun.add('middleware');
        return never;
      });
    }
    const left = once(server, 'disconnection');
    const raw = await RawNative.join(work, declare(1, 'slow'), request(1, 1, 'a'));
    assert.deepEqual(await begun.until(1), [place]);
    assert.equal(server.getStats().requestsOpen, 1);
    raw.send(request(1, 1, 'b'));
    assert.equal(await raw.goodbye(), 'PEER_UNEXPECTED_FRAME');
    raw.close();
    await left;
    assert.equal(server.getStats().requestsOpen, 0);
  });
}

test('requests that wait in middleware count against the limit', async (t) => {
  const work = await atWork(t, 'unix', { limits: { requestsMax: 2 } });
  work.app.createChannel('slow').use(() => new Promise<boolean>(() => undefined));
  const raw = await RawNative.join(work, declare(1, 'slow'), ...[1, 2, 3].map((id) => request(id, 1, 'x')));
  assert.equal(await raw.errorCode(), 'LIMIT_REQUESTS');
  assert.equal(work.server.getStats().requestsOpen, 2);
  raw.send(frame({ type: FrameType.CANCEL, id: 1 }));
  assert.equal(await raw.errorCode(), 'REMOTE_CANCELLED');
  assert.equal(work.server.getStats().requestsOpen, 1);
  const left = once(work.server, 'disconnection');
  raw.close();
  await left;
});

test('a request whose caller leaves while middleware thinks is not given to the handler', async (t) => {
  const work = await atWork(t);
  const gate = deferred<boolean>();
  const reached = deferred();
  let handled = 0;
  work.app
    .createChannel('slow')
    .use((message) => {
      if (message.payload !== 'first') return true;
      reached.resolve();
      return gate.promise;
    })
    .setHandler('request', () => {
      handled += 1;
      return 'done';
    });
  const left = once(work.server, 'disconnection');
  const raw = await RawNative.join(work, declare(1, 'slow'), request(1, 1, 'first'));
  await reached.promise;
  raw.close();
  await left;
  gate.resolve(true);
  const caller = await work.client();
  assert.equal(await caller.call('slow', 'second'), 'done');
  assert.equal(handled, 1);
});

test('credit of four gigabytes, thousands of times, neither overflows nor loses a message', async (t) => {
  const work = await atWork(t);
  const raw = await RawNative.join(work, subscribe(1, 'a', 1));
  await raw.next(FrameType.OK);
  const grant = frame({ type: FrameType.CREDIT, id: 1, content: CreditKind.SUBSCRIPTION, value: U32_MAX });
  raw.send(...Array.from({ length: 5000 }, () => grant), subscribe(2, 'b'));
  await raw.next(FrameType.OK);
  const channel = work.app.createChannel('a');
  for (let i = 0; i < 10; i += 1) channel.publish(`${i}`);
  for (let i = 0; i < 10; i += 1) {
    assert.equal(Buffer.from((await raw.next(FrameType.DELIVERY)).payload).toString(), `${i}`);
  }
  raw.close();
});

test('a flood of pings whose answers nobody reads is not read any more, and the answers are bounded', async (t) => {
  const outboxBytesMax = 64 * 1024;
  const work = await atWork(t, 'unix', { outboxBytesMax });
  const raw = await RawNative.join(work);
  raw.socket.pause();
  const [connection] = work.server.connectionManager.listConnections();
  assert.ok(connection !== undefined);
  const pings = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => frame({ type: FrameType.PING, id })));
  // Until the system takes no more of us: the server has stopped reading.
  const bystander = await work.client();
  let before = -1;
  while (before !== connection.bytesIn) {
    before = connection.bytesIn;
    for (let i = 0; i < 10; i += 1) {
      raw.socket.write(pings);
      await bystander.ping();
    }
  }
  assert.ok(raw.socket.writableLength > 0);
  assert.ok(connection.waitingBytes < 4 * 1024 * 1024, `${connection.waitingBytes} bytes wait`);
  raw.close();
});

test('hostile JSON in control frames: prototypes, depth, other types', async (t) => {
  const work = await atWork(t);
  const polluting = Buffer.from('{"__proto__":{"pattern":"a"},"constructor":{"prototype":{"polluted":1}}}');
  const deep = Buffer.from(`{"pattern":"a","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
  for (const payload of [polluting, json([]), json(null), json('a'), json({ pattern: { toString: 'a' } })]) {
    const raw = await RawNative.join(work, frame({ type: FrameType.SUBSCRIBE, id: 1, payload }));
    assert.equal(await raw.goodbye(), 'PEER_MALFORMED_FRAME', payload.toString());
    raw.close();
  }
  const raw = await RawNative.join(work, frame({ type: FrameType.SUBSCRIBE, id: 1, payload: deep.subarray(0, 100) }));
  assert.equal(await raw.goodbye(), 'PEER_MALFORMED_FRAME');
  raw.close();
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('a worker that streams without credit is closed, and its caller is told', async (t) => {
  const work = await atWork(t, 'unix', { limits: { streamWindowBytes: 1024 } });
  const worker = await RawNative.join(
    work,
    frame({ type: FrameType.SERVE, id: 1, payload: json({ channel: 'work' }) }),
  );
  await worker.next(FrameType.OK);
  const caller = await RawNative.join(work, declare(1, 'work'), request(1, 1, 'go', FrameFlag.STREAM));
  const { id } = await worker.next(FrameType.REQUEST);
  const data = frame({ type: FrameType.STREAM_DATA, id, content: ContentType.BYTES, payload: Buffer.alloc(1024) });
  // The caller's window of 256 KiB is taken by neither: it grants nothing.
  worker.send(...Array.from({ length: 600 }, () => data));
  assert.equal(await worker.goodbye(), 'PEER_FLOW_CONTROL');
  worker.close();
  assert.equal(await caller.errorCode(), 'REMOTE_LOST');
  caller.close();
});

test('a worker that streams to a caller that takes no stream fails the call and is told to stop', async (t) => {
  const work = await atWork(t);
  const worker = await RawNative.join(
    work,
    frame({ type: FrameType.SERVE, id: 1, payload: json({ channel: 'work' }) }),
  );
  await worker.next(FrameType.OK);
  const caller = await work.client();
  for (const type of [FrameType.STREAM_DATA, FrameType.STREAM_END]) {
    const call = assert.rejects(caller.call('work', 'go'), { code: 'REMOTE_STREAMS' });
    const { id } = await worker.next(FrameType.REQUEST);
    worker.send(frame({ type, id }));
    await call;
    // With its end the worker has stopped by itself.
    if (type === FrameType.STREAM_DATA) assert.equal((await worker.next(FrameType.CANCEL)).id, id);
  }
  worker.close();
});

test('an answer that cannot be read ends the client that gave it, and whoever asked is told', async (t) => {
  const work = await atWork(t);
  const worker = await RawNative.join(
    work,
    frame({ type: FrameType.SERVE, id: 1, payload: json({ channel: 'work' }) }),
  );
  await worker.next(FrameType.OK);
  const caller = await work.client();
  const [connection] = work.server.connectionManager.listConnections();
  const asked = assert.rejects(connection?.request('x', 1) ?? Promise.resolve(), { code: 'REMOTE_LOST' });
  const called = assert.rejects(caller.call('work', 'go'), { code: 'REMOTE_LOST' });
  const { id } = await worker.next(FrameType.REQUEST);
  worker.send(frame({ type: FrameType.ERROR, id, payload: Buffer.from('{') }));
  assert.equal(await worker.goodbye(), 'PEER_MALFORMED_FRAME');
  worker.close();
  await Promise.all([asked, called]);
});

test('forgetting numbers gives no credit that a blocked subscriber holds back', async (t) => {
  const window = 1024;
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: window } });
  const subscriber = await RawNative.join(work, subscribe(1, 'a', 1));
  await subscriber.next(FrameType.OK);
  const channel = work.app.createChannel('a');
  while (!channel.publish(Buffer.alloc(window * 64)).blocked);
  const publish = (number: number): Buffer =>
    frame({
      type: FrameType.PUBLISH,
      channel: number,
      content: ContentType.BYTES,
      payload: Buffer.alloc(window - HEADER_BYTES),
    });
  const raw = await RawNative.join(work, declare(1, 'a'), publish(1), declare(0, ''), declare(2, 'a'), publish(2));
  assert.equal(await raw.goodbye(), 'PEER_FLOW_CONTROL');
  raw.close();
  subscriber.close();
});

test('a client that names its channels anew, again and again, is served on each, and its credit begins anew', async (t) => {
  const work = await atWork(t, 'unix', { limits: { declaredChannelsMax: 10 } });
  const seen = new Collected<string>();
  work.app.createChannel('c').setHandler('publish', (message) => seen.add(message.payload as string));
  const raw = await RawNative.join(work);
  for (let i = 1; i <= 200; i += 1) {
    const payload = Buffer.from(String(i));
    raw.send(declare(0, ''), declare(i, 'c'));
    raw.send(frame({ type: FrameType.PUBLISH, channel: i, content: ContentType.TEXT, payload }));
  }
  assert.equal((await seen.until(200)).at(-1), '200');
  raw.close();
});

test('frames before a DECLARE of 0 mean the old names, those behind it the new ones, in one chunk too', async (t) => {
  const work = await atWork(t);
  const seen = new Collected<string>();
  for (const name of ['a', 'b']) {
    work.app.createChannel(name).setHandler('publish', (message) => seen.add(`${name} ${String(message.payload)}`));
  }
  const raw = await RawNative.join(work);
  const publish = (text: string): Buffer =>
    frame({ type: FrameType.PUBLISH, channel: 1, content: ContentType.TEXT, payload: Buffer.from(text) });
  const forget = declare(0, '');
  raw.send(declare(1, 'a'), publish('1'), forget, declare(1, 'b'), publish('2'), forget, declare(1, 'a'), publish('3'));
  assert.deepEqual(await seen.until(3), ['a 1', 'b 2', 'a 3']);
  raw.close();
});
