// What was broken in the original package and must not be here: one test for each, by its number.
//
//  1 a ping is answered                                    10 a close for malformed input is reported
//  2 a handler is given the connection                     11 a request that fails is answered at once
//  3 the id that a client chooses is a label               12 late replies are not kept, fast ones not missed
//  4 an old socket's end leaves the new one of its id      13 a request from inside a handler is answered
//  5 the application is that of the handshake              14 every subscription has its own handler and end
//  6 a disconnect leaves no subscriber                     15 a lost connection comes back
//  7 a slow handler holds up nobody                        16 replies are not polled
//  8 concurrent senders do not corrupt the framing         17 maxConnections is a limit
//  9 a frame has a limit, known from its length
//
// test/interop/python-client.test.ts holds 1, 3 to 7 and 11 with the original's own client.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import type { IPCError, ServerConnection, ServerOptions } from '../../src/server/index.ts';
import { bodyOf, OldWire } from '../interop/old-wire.ts';
import { type AtWork, atWork, Collected, deferred } from '../support/broker-at-work.ts';

type Old = AtWork & { join(label?: string, app?: string): Promise<OldWire> };

async function oldAtWork(t: TestContext, options: ServerOptions = {}): Promise<Old> {
  const work = await atWork(t, 'tcp', { host: '127.0.0.1', ...options });
  return {
    ...work,
    async join(label = 'same', app = 'test') {
      const wire = await OldWire.join(work.server.port, app, label);
      t.after(() => wire.close());
      return wire;
    },
  };
}

const say = (type: string, channel: string, payload: unknown, id = 'm', app = 'test'): string =>
  bodyOf({ message_id: id, message_type: type, channel_id: channel, payload, app_id: app });
const PING = say('request', 'system', { action: 'ping' }, 'ping');

/** What was sent before has been dealt with. */
async function settled(wire: OldWire): Promise<void> {
  wire.send(PING);
  assert.equal((await wire.next())['reply_to'], 'ping');
}

test('1: a ping is answered', async (t) => {
  const wire = await (await oldAtWork(t)).join();
  wire.send(PING);
  assert.deepEqual((await wire.next())['payload'], { status: 'pong' });
});

test('2: a handler is given the connection, whatever the payload says of it', async (t) => {
  const { app, join } = await oldAtWork(t);
  app.createChannel('who').setHandler('request', (message, connection) => {
    assert.equal(message.connection, connection);
    return connection.label;
  });
  const wire = await join('me');
  wire.send(say('request', 'who', { connection_id: 'somebody else' }));
  assert.equal((await wire.next())['payload'], 'me');
  wire.send(say('request', 'who', 'no object at all'));
  assert.equal((await wire.next())['payload'], 'me');
});

test('3: a second client that calls itself the same takes no delivery, and subscribes itself alone', async (t) => {
  const { app, join } = await oldAtWork(t);
  const [victim, thief] = [await join(), await join()];
  victim.send(say('subscribe', 'news', { connection_id: 'same' }));
  await settled(victim);
  thief.send(say('subscribe', 'other', { connection_id: 'same' }));
  await settled(thief);
  assert.equal(app.createChannel('news').publish('for the victim').receivers, 1);
  assert.equal(app.createChannel('other').publish('for the thief').receivers, 1);
  assert.equal((await victim.next())['payload'], 'for the victim');
  assert.equal((await thief.next())['payload'], 'for the thief');
});

test('4 and 6: the end of one connection takes its own subscriptions, and nothing of another of the same id', async (t) => {
  const { server, app, join } = await oldAtWork(t);
  const [first, second] = [await join(), await join()];
  for (const wire of [first, second]) {
    wire.send(say('subscribe', 'news', {}));
    await settled(wire);
  }
  const left = once(server, 'disconnection');
  first.close();
  await left;
  assert.equal(app.createChannel('news').publish('still').receivers, 1);
  assert.equal((await second.next())['payload'], 'still');
  assert.equal(server.getStats().totalConnections, 1);
});

test('5: the application is that of the handshake, not of the message', async (t) => {
  const { app, server, join } = await oldAtWork(t);
  let heard = 0;
  app.createChannel('news').setHandler('publish', () => {
    heard += 1;
  });
  const stranger = await join('stranger', 'elsewhere');
  stranger.send(say('publish', 'news', 'foreign', 'm', 'test'));
  await settled(stranger);
  assert.equal(heard, 0);
  assert.ok(server.getApplication('elsewhere')?.getChannel('news') !== undefined);
});

test('7: a handler that takes its time holds up neither its own caller, nor another, nor a publish', async (t) => {
  const { app, join } = await oldAtWork(t);
  const gate = deferred<string>();
  app.createChannel('slow').setHandler('request', () => gate.promise);
  app.createChannel('quick').setHandler('request', () => 'quick');
  const [caller, other] = [await join(), await join('other')];
  other.send(say('subscribe', 'news', {}));
  await settled(other);
  caller.send(say('request', 'slow', {}, 'slow'));
  for (const wire of [caller, other]) {
    wire.send(say('request', 'quick', {}, 'quick'));
    assert.equal((await wire.next())['reply_to'], 'quick');
  }
  caller.send(say('publish', 'news', 'meanwhile'));
  assert.equal((await other.next())['payload'], 'meanwhile');
  gate.resolve('at last');
  assert.deepEqual((await caller.next())['payload'], 'at last');
});

test('8: answers and deliveries of many at once arrive as whole frames, in any order of sizes', async (t) => {
  const { app, join } = await oldAtWork(t);
  app.createChannel('echo').setHandler('request', async (message) => {
    await Promise.resolve();
    return message.payload;
  });
  const [reader, writer] = [await join(), await join()];
  reader.send(say('subscribe', 'news', {}));
  await settled(reader);
  const texts = Array.from({ length: 200 }, (_, i) => `${i}:${'x'.repeat(i % 7 === 0 ? 100_000 : i)}`);
  for (const text of texts) {
    reader.send(say('request', 'echo', text));
    writer.send(say('publish', 'news', text));
  }
  const got = { response: [] as unknown[], publish: [] as unknown[] };
  for (let i = 0; i < texts.length * 2; i += 1) {
    const { message_type: type, payload } = await reader.next();
    got[type as 'response' | 'publish'].push(payload);
  }
  assert.deepEqual(got, { response: texts, publish: texts });
});

test('9: a frame over the limit ends its connection by its length alone', async (t) => {
  const { server, join } = await oldAtWork(t, { limits: { messageBytesMax: 10_000 } });
  const faults = new Collected<string>();
  server.on('fault', (error) => faults.add((error as { code?: string }).code ?? ''));
  const wire = await join();
  wire.socket.write(Buffer.from([0, 0, 0x27, 0x11]));
  await wire.ended();
  assert.deepEqual(await faults.until(1), ['LIMIT_MESSAGE_BYTES']);
});

for (const [what, bytes] of [
  ['no JSON', Buffer.from('{"no json')],
  ['no UTF-8', Buffer.from([0x7b, 0xff, 0xfe])],
  ['an unknown key', Buffer.from(bodyOf({ more: 1 }))],
  ['an unknown type', Buffer.from(bodyOf({ message_type: 'shout' }))],
] as const) {
  test(`10: ${what} ends that connection, which is reported with its code, and others go on`, async (t) => {
    const { server, join } = await oldAtWork(t);
    const faults = new Collected<readonly [string, string | undefined]>();
    server.on('fault', (error, connection) =>
      faults.add([(error as { code?: string }).code ?? 'none', connection?.label]),
    );
    const left = once(server, 'disconnection');
    const [bad, good] = [await join('bad'), await join('good')];
    bad.send(bytes);
    await bad.ended();
    assert.deepEqual(await faults.until(1), [['PEER_MALFORMED_FRAME', 'bad']]);
    const [connection, reason] = (await left) as [ServerConnection, IPCError];
    assert.deepEqual([connection.label, reason.code], ['bad', 'PEER_MALFORMED_FRAME']);
    await settled(good);
  });
}

test('11: no handler, no channel and a handler that throws are answered with an error', async (t) => {
  const { app, join } = await oldAtWork(t);
  app.createChannel('empty');
  app.createChannel('throws').setHandler('request', () => {
    throw new Error('why');
  });
  const wire = await join();
  for (const [channel, code] of [
    ['empty', 'REMOTE_NO_HANDLER'],
    ['unknown', 'REMOTE_NO_HANDLER'],
    ['throws', 'REMOTE_HANDLER_FAILED'],
  ] as const) {
    wire.send(say('request', channel, {}, channel));
    const { reply_to: replyTo, payload } = await wire.next();
    assert.equal(replyTo, channel);
    const { error, status, code: got } = payload as Record<string, unknown>;
    assert.deepEqual({ error, status, got }, { error: true, status: 'error', got: code });
  }
});

test('12 and 16: an answer in the same turn is not missed, and one that comes too late is dropped', async (t) => {
  const { app, client } = await oldAtWork(t);
  let late: (value: string) => void = () => undefined;
  app.createChannel('fast').setHandler('request', () => 'at once');
  app.createChannel('late').setHandler(
    'request',
    () =>
      new Promise<string>((resolve) => {
        late = resolve;
      }),
  );
  const caller = await client();
  await assert.rejects(caller.call('late', 1, { timeout: 20 }), { code: 'TIME_OUT' });
  late('too late');
  assert.equal(await caller.call('fast', 1), 'at once');
});

for (const protocol of ['native', 'json'] as const) {
  test(`13: ${protocol}: a request from inside a handler of the client is answered`, async (t) => {
    const { app, client } = await oldAtWork(t);
    app.createChannel('double').setHandler('request', (message) => (message.payload as number) * 2);
    const [asking, publisher] = [await client({ protocol }), await client()];
    const answers = new Collected<unknown>();
    await asking.subscribe('news', async ({ payload }) => {
      answers.add(await asking.call('double', payload));
    });
    while (app.createChannel('news').receivers.length === 0) await publisher.ping();
    for (const value of [1, 2, 3]) publisher.publish('news', value);
    assert.deepEqual(await answers.until(3), [2, 4, 6]);
  });

  test(`14: ${protocol}: two subscriptions of one client to one channel have handlers of their own, and ends`, async (t) => {
    const { app, client } = await oldAtWork(t);
    const subscriber = await client({ protocol });
    const [first, second] = [new Collected<unknown>(), new Collected<unknown>()];
    const one = await subscriber.subscribe('news', ({ payload }) => first.add(payload));
    const two = await subscriber.subscribe('news', ({ payload }) => second.add(payload));
    const channel = app.createChannel('news');
    while (channel.receivers.length === 0) await subscriber.ping();
    channel.publish('both');
    await Promise.all([first.until(1), second.until(1)]);
    await one.unsubscribe();
    await subscriber.ping();
    channel.publish('the second');
    await second.until(2);
    await two.unsubscribe();
    while (channel.receivers.length > 0) await subscriber.ping();
    assert.deepEqual([first.values, second.values], [['both'], ['both', 'the second']]);
  });

  test(`15: ${protocol}: a client whose connection is lost comes back, and hears what it subscribed to`, async (t) => {
    const { app, server, client } = await oldAtWork(t);
    const subscriber = await client({ protocol, reconnect: true, reconnectDelay: 1 });
    const heard = new Collected<unknown>();
    await subscriber.subscribe('news', ({ payload }) => heard.add(payload));
    const channel = app.createChannel('news', { retain: true });
    while (channel.receivers.length === 0) await subscriber.ping();
    const back = once(server, 'connection');
    for (const connection of server.connectionManager.listConnections()) connection.close();
    await back;
    channel.publish('again');
    assert.deepEqual(await heard.until(1), ['again']);
    await subscriber.ping();
  });
}

test('17: one connection more than maxConnections is refused, old ones too', async (t) => {
  const { server, join } = await oldAtWork(t, { maxConnections: 1 });
  server.on('fault', () => undefined);
  await join('first');
  const second = await OldWire.connect(server.port);
  second.send(bodyOf({ app_id: 'test', channel_id: 'system', payload: { action: 'connect', connection_id: 'x' } }));
  assert.deepEqual(await second.ended(), []);
  assert.equal(server.getStats().totalConnections, 1);
  assert.equal(server.getStats().connectionsRefused, 1);
});
