// Old clients that fall silent, do not read, or cannot be told what was published: they lose what is theirs,
// and nobody else loses anything.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import type { IPCError } from '../../src/base/errors.ts';
import type { ServerConnection, ServerOptions } from '../../src/server/index.ts';
import { bodyOf, OldWire } from '../interop/old-wire.ts';
import { type AtWork, atWork, Collected } from '../support/broker-at-work.ts';

interface OldAtWork extends AtWork {
  readonly faults: Collected<readonly [IPCError, ServerConnection | undefined]>;
  old(label?: string): Promise<OldWire>;
}

async function oldAtWork(t: TestContext, options: ServerOptions = {}): Promise<OldAtWork> {
  const work = await atWork(t, 'tcp', { host: '127.0.0.1', ...options });
  const faults = new Collected<readonly [IPCError, ServerConnection | undefined]>();
  work.server.on('fault', (error, connection) => faults.add([error as IPCError, connection]));
  return {
    ...work,
    faults,
    async old(label = 'old') {
      const wire = await OldWire.join(work.server.port, 'test', label);
      t.after(() => wire.close());
      return wire;
    },
  };
}

const ask = (id: string, channel: string, payload: unknown = {}): string =>
  bodyOf({ message_id: id, app_id: 'test', channel_id: channel, payload });
const ping = (id: string): string => ask(id, 'system', { action: 'ping' });
const subscribe = (channel: string): string =>
  bodyOf({ message_type: 'subscribe', channel_id: channel, app_id: 'test' });

test('a silent old client is sent a notification on system each heartbeat, and keeps its place', async (t) => {
  const { server, old } = await oldAtWork(t, { heartbeatIntervalMs: 30 });
  const wire = await old();
  for (let beat = 0; beat < 3; beat += 1) {
    const { message_type: type, channel_id: channel, payload } = await wire.next();
    assert.deepEqual([type, channel, payload], ['notification', 'system', { action: 'heartbeat' }]);
  }
  assert.equal(server.getStats().totalConnections, 1);
  wire.send(ping('p'));
  let answer = await wire.next();
  while (answer['message_type'] !== 'response') answer = await wire.next();
  assert.equal((answer['payload'] as { status: string }).status, 'pong');
});

test('without heartbeats nothing is sent to an old client that was not asked for', async (t) => {
  const { old } = await oldAtWork(t, { heartbeatIntervalMs: 0 });
  const wire = await old();
  wire.send(ping('p'));
  assert.equal((await wire.next())['reply_to'], 'p');
});

test('an old client that asks and does not read its answers is not read from, and gets all of them when it reads', async (t) => {
  const answerBytes = 256 * 1024;
  const { server, app, old } = await oldAtWork(t, { outboxBytesMax: 64 * 1024 });
  let asked = 0;
  app.createChannel('big').setHandler('request', () => {
    asked += 1;
    return 'x'.repeat(answerBytes);
  });
  const wire = await old();
  wire.socket.pause();
  const count = 400;
  const written = new Promise<void>((resolve) => {
    for (let i = 0; i < count; i += 1) {
      const body = Buffer.from(ask(String(i), 'big', 'y'.repeat(20_000)));
      const length = Buffer.alloc(4);
      length.writeUInt32BE(body.length);
      wire.socket.write(Buffer.concat([length, body]), () => {
        if (i === count - 1) resolve();
      });
    }
  });
  const [connection] = server.connectionManager.listConnections();
  assert.ok(connection !== undefined);
  // Two rounds with the same count: nothing is read any more. Another client's ping shows that the server lives.
  const other = await old('other');
  for (let goesOn = true; goesOn; ) {
    const before = asked;
    for (let i = 0; i < 20; i += 1) {
      other.send(ping(`p${i}`));
      await other.next();
    }
    goesOn = asked === 0 || asked !== before;
  }
  assert.ok(asked < count, `all ${asked} were taken`);
  assert.ok(connection.waitingBytes < 32 * answerBytes, `${connection.waitingBytes} bytes wait`);
  wire.socket.resume();
  for (let i = 0; i < count; i += 1) assert.equal((await wire.next())['reply_to'], String(i));
  await written;
});

test('what the old protocol cannot carry is lost to old subscribers alone, counted, and reported once', async (t) => {
  const { app, client, old, faults, server } = await oldAtWork(t);
  const wires = [await old('first'), await old('second')];
  for (const wire of wires) {
    wire.send(subscribe('news'));
    wire.send(ping('p'));
    await wire.next();
  }
  const publisher = await client();
  const got = new Collected<unknown>();
  await (await client()).subscribe('news', (message) => got.add(message.contentType));
  const deep = `${'['.repeat(1000)}${']'.repeat(1000)}`;
  let own = 0;
  for (const bad of [JSON.parse(deep) as unknown, { ok: 1 }]) publisher.publish('news', bad);
  await got.until(2);
  for (const wire of wires) assert.deepEqual((await wire.next())['payload'], { ok: 1 });
  const [[error]] = (await faults.until(1)) as [readonly [IPCError, unknown]];
  assert.equal(error.code, 'PEER_MALFORMED_PAYLOAD');
  assert.equal(error.details['channelId'], 'news');
  assert.equal(faults.values.length, 1);
  for (const { dropped } of app.getChannel('news')?.receivers ?? []) own += dropped;
  assert.equal(own, 2);
  assert.equal(server.getStats().totalConnections, 4);
  assert.equal(publisher.connected, true);
});

test('a kept value that the old protocol cannot carry does not harm an old client that subscribes later', async (t) => {
  const { app, old } = await oldAtWork(t);
  app.createChannel('news').publish(JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`), { retain: true });
  const wire = await old();
  wire.send(subscribe('news'));
  wire.send(ping('p'));
  assert.equal((await wire.next())['reply_to'], 'p');
});

test('a worker’s answer that the old protocol cannot carry fails the old caller alone', async (t) => {
  const { client, old } = await oldAtWork(t);
  const worker = await client();
  await worker.serve('deep', () => JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`) as unknown);
  const wire = await old();
  wire.send(ask('r', 'deep'));
  const answer = await wire.next();
  assert.equal(answer['reply_to'], 'r');
  assert.equal((answer['payload'] as { error: boolean }).error, true);
  assert.equal(worker.connected, true);
});

test('an old client that is closed for what it sent is reported, with its connection and the code', async (t) => {
  const { old, faults } = await oldAtWork(t);
  const wire = await old('culprit');
  wire.send('{"message_id":1}');
  const [[error, connection]] = (await faults.until(1)) as [readonly [IPCError, ServerConnection]];
  assert.equal(error.code, 'PEER_MALFORMED_FRAME');
  assert.equal(connection.label, 'culprit');
  assert.match(connection.id, /./);
  await wire.ended();
});

test('two requests of an old client under one id are both answered, and both end with the connection', async (t) => {
  const { server, app, old } = await oldAtWork(t);
  const gates: (() => void)[] = [];
  const both = new Collected<number>();
  app.createChannel('slow').setHandler(
    'request',
    () =>
      new Promise<number>((resolve) => {
        const number = gates.push(() => resolve(number));
        both.add(number);
      }),
  );
  const wire = await old();
  wire.send(ask('same', 'slow'));
  wire.send(ask('same', 'slow'));
  await both.until(2);
  for (const gate of gates) gate();
  assert.deepEqual([(await wire.next())['payload'], (await wire.next())['payload']], [1, 2]);
  assert.equal(server.getStats().requestsOpen, 0);
  wire.send(ask('same', 'slow'));
  wire.send(ask('same', 'slow'));
  await both.until(4);
  const left = once(server, 'disconnection');
  wire.close();
  await left;
  assert.equal(server.getStats().requestsOpen, 0);
});

test('an old client that does not read for three heartbeats is gone, and its channel goes on', async (t) => {
  const { server, app, client, old } = await oldAtWork(t, { heartbeatIntervalMs: 60, handshakeTimeoutMs: 1000 });
  const wire = await old();
  wire.send(subscribe('news'));
  wire.send(ping('p'));
  // A machine that is busy may let a heartbeat come first.
  while ((await wire.next())['reply_to'] !== 'p');
  wire.socket.pause();
  const left = once(server, 'disconnection') as Promise<[ServerConnection, IPCError]>;
  const channel = app.createChannel('news');
  // The kernel takes some megabytes for a reader that has stopped; silence begins when it takes no more.
  while (server.getStats().totalConnections > 0) {
    const published = channel.publish('x'.repeat(200_000));
    if (published.blocked) await Promise.race([published.ready(), left]);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  const [, reason] = await left;
  assert.equal(reason.code, 'PEER_SILENT');
  const native = await client();
  const got = new Collected<unknown>();
  await native.subscribe('news', (message) => got.add(message.payload));
  channel.publish('on');
  assert.deepEqual(await got.until(1), ['on']);
});
