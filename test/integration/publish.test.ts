// Who gets what is published, in which order, and from whom it says that it comes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import type { IPCError, Message } from '../../src/client/index.ts';
import { atWork, Collected, TRANSPORTS, withCode } from '../support/broker-at-work.ts';

for (const transport of TRANSPORTS) {
  test(`${transport}: a message reaches every subscriber, the publisher too, in order`, async (t) => {
    const { client } = await atWork(t, transport);
    const [one, two] = [await client(), await client()];
    const seen = [new Collected<unknown>(), new Collected<unknown>()];
    for (const [index, subscriber] of [one, two].entries()) {
      await subscriber.subscribe('news', (message) => seen[index]?.add(message.payload));
    }
    const sent = Array.from({ length: 5000 }, (_, i) => i);
    for (const value of sent) one.publish('news', value);
    for (const collected of seen) assert.deepEqual(await collected.until(5000), sent);
  });

  test(`${transport}: large and small messages of one channel keep their order`, async (t) => {
    const { client } = await atWork(t, transport);
    const [publisher, subscriber] = [await client(), await client()];
    const sizes = new Collected<number>();
    await subscriber.subscribe('mixed', (message) => sizes.add(message.bytes.length));
    const sent: number[] = [];
    for (let i = 0; i < 60; i += 1) {
      const size = i % 3 === 0 ? 300_000 + i : i;
      sent.push(size);
      await publisher.publishReady('mixed');
      publisher.publish('mixed', Buffer.alloc(size));
    }
    assert.deepEqual(await sizes.until(60), sent);
  });
}

for (const transport of TRANSPORTS) {
  test(`${transport}: what many are sent under numbers of their own says the same to each`, async (t) => {
    const { client } = await atWork(t, transport);
    const [publisher, like, alike, unlike] = [await client(), await client(), await client(), await client()];
    const seen: Collected<string>[] = [];
    const subscribe = async (subscriber: typeof like, pattern: string) => {
      const collected = new Collected<string>();
      seen.push(collected);
      await subscriber.subscribe(pattern, ({ channelId, payload }) => collected.add(`${channelId} ${String(payload)}`));
    };
    // The first two have the same number for it, the third another, and two for what it gets twice.
    await subscribe(like, 'even');
    await subscribe(alike, 'even');
    await subscribe(unlike, 'odd');
    await subscribe(unlike, 'even');
    await subscribe(unlike, '>');
    const sent = Array.from({ length: 3000 }, (_, i) => `${i % 3 === 0 ? 'odd' : 'even'} ${'x'.repeat(i % 70)}${i}`);
    const even = sent.filter((one) => one.startsWith('even'));
    const odd = sent.filter((one) => one.startsWith('odd'));
    for (const one of sent) {
      const [channel, text] = one.split(' ') as [string, string];
      publisher.publish(channel, text, { retain: one === odd.at(-1) });
    }
    for (const [index, expected] of [even, even, odd, even, sent].entries()) {
      assert.deepEqual(await seen[index]?.until(expected.length), expected, `subscription ${index}`);
    }
    const late = new Collected<unknown>();
    await like.subscribe('odd', ({ payload }) => late.add(payload));
    assert.deepEqual(await late.until(1), [odd.at(-1)?.split(' ')[1]]);
  });
}

test('wildcards: * is one token, > is one or more, and a name without them is itself', async (t) => {
  const { client } = await atWork(t);
  const subscriber = await client();
  const seen = new Map<string, string[]>();
  for (const pattern of ['orders.*', 'orders.>', 'orders.eu', '>', '*']) {
    seen.set(pattern, []);
    await subscriber.subscribe(pattern, (message) => seen.get(pattern)?.push(message.channelId));
  }
  for (const channel of ['orders', 'orders.eu', 'orders.eu.paid', 'other']) {
    await subscriber.publishConfirmed(channel, 1);
  }
  assert.deepEqual(Object.fromEntries(seen), {
    'orders.*': ['orders.eu'],
    'orders.>': ['orders.eu', 'orders.eu.paid'],
    'orders.eu': ['orders.eu'],
    '>': ['orders', 'orders.eu', 'orders.eu.paid', 'other'],
    '*': ['orders', 'other'],
  });
});

test('two handlers of one channel are two subscriptions: the first to leave takes nothing from the other', async (t) => {
  const { client } = await atWork(t);
  const subscriber = await client();
  const first = new Collected<unknown>();
  const second = new Collected<unknown>();
  const one = await subscriber.subscribe('news', (message) => first.add(message.payload));
  await subscriber.subscribe('news', (message) => second.add(message.payload));
  assert.equal(await subscriber.publishConfirmed('news', 1), 2);
  await one.unsubscribe();
  assert.equal(await subscriber.publishConfirmed('news', 2), 1);
  assert.deepEqual(await first.until(1), [1]);
  assert.deepEqual(await second.until(2), [1, 2]);
});

test('a client that has gone leaves no subscriber behind', async (t) => {
  const { app, client } = await atWork(t);
  const [gone, stays] = [await client(), await client()];
  await gone.subscribe('news', () => undefined);
  await gone.subscribe('n.*', () => undefined);
  assert.equal(await stays.publishConfirmed('news', 1), 1);
  await gone.disconnect();
  assert.equal(await stays.publishConfirmed('news', 1), 0);
  assert.equal(app.subscriptionCount, 0);
});

test('a late subscriber gets the retained value, marked as such, by name and by wildcard', async (t) => {
  const { app, client } = await atWork(t);
  const subscriber = await client();
  subscriber.publish('config.mode', 'old', { retain: true });
  await subscriber.publishConfirmed('config.mode', 'new', { retain: true });
  app.createChannel('config.always', { retain: true }).publish('kept');
  const seen = new Collected<[string, unknown, boolean]>();
  const take = (message: Message) => seen.add([message.channelId, message.payload, message.retained]);
  await subscriber.subscribe('config.mode', take);
  await subscriber.subscribe('config.*', take);
  await seen.until(3);
  await subscriber.subscribe('config.mode', take, { retained: false });
  await subscriber.publishConfirmed('config.mode', 'live');
  const all = await seen.until(6);
  assert.deepEqual(all.slice(0, 3), [
    ['config.mode', 'new', true],
    ['config.mode', 'new', true],
    ['config.always', 'kept', true],
  ]);
  assert.deepEqual(
    all.slice(3),
    Array.from({ length: 3 }, () => ['config.mode', 'live', false]),
  );
});

test('after a reconnect the kept values come again, marked as such: what changed meanwhile, and what was seen', async (t) => {
  const { server, app, client } = await atWork(t);
  const [same, changed] = ['same', 'changed'].map((name) => app.createChannel(`state.${name}`, { retain: true }));
  same?.publish(1);
  changed?.publish(1);
  const subscriber = await client({ reconnect: true, reconnectDelay: 1 });
  const seen = new Collected<string>();
  const off = await client();
  await subscriber.subscribe('state.*', ({ channelId, payload, retained }) =>
    seen.add(`${channelId}=${String(payload)}${retained ? ' kept' : ''}`),
  );
  assert.deepEqual([...(await seen.until(2))].sort(), ['state.changed=1 kept', 'state.same=1 kept']);
  const left = once(server, 'disconnection');
  server.connectionManager.getConnection(subscriber.connectionId as string)?.close();
  await left;
  changed?.publish(2);
  assert.deepEqual([...(await seen.until(4))].slice(2).sort(), ['state.changed=2 kept', 'state.same=1 kept']);
  await off.publishConfirmed('state.same', 3);
  assert.deepEqual((await seen.until(5)).slice(4), ['state.same=3']);
});

test('handlers of every message type are called, with the connection that the message came from', async (t) => {
  const { app, client } = await atWork(t);
  const seen = new Collected<string>();
  const channel = app.createChannel('room');
  for (const type of ['publish', 'notification', 'subscribe', 'unsubscribe'] as const) {
    channel.setHandler(type, (message, connection) => {
      assert.equal(message.connection, connection);
      assert.equal(message.messageType, type);
      seen.add(`${type} ${connection.id === member.connectionId ? 'of the member' : 'of a stranger'}`);
    });
  }
  const member = await client();
  const subscription = await member.subscribe('room', () => undefined);
  await member.publishConfirmed('room', 1);
  member.notify('room', 2);
  await seen.until(3);
  await subscription.unsubscribe();
  assert.deepEqual(
    await seen.until(4),
    ['subscribe', 'publish', 'notification', 'unsubscribe'].map((type) => `${type} of the member`),
  );
});

test('the server publishes, notifies one connection, and broadcasts to all of an application', async (t) => {
  const { server, app, client } = await atWork(t);
  const [one, two] = [await client(), await client()];
  const heard = new Collected<string>();
  one.onNotification('alert', (message) => heard.add(`one ${String(message.payload)}`));
  two.onNotification('alert', (message) => heard.add(`two ${String(message.payload)}`));
  await two.subscribe('news', (message) => heard.add(`two ${String(message.payload)}`));
  assert.equal(server.sendToConnection(one.connectionId as string, { channelId: 'alert', payload: 'only you' }), true);
  assert.equal(server.sendToConnection('nobody', { channelId: 'alert', payload: 1 }), false);
  await heard.until(1);
  assert.equal(server.broadcastToApplication('test', { channelId: 'alert', payload: 'all' }), 2);
  await heard.until(3);
  assert.equal(app.createChannel('news').publish('read').receivers, 1);
  assert.equal(server.routeMessage({ appId: 'test', channelId: 'news', payload: 'again' }), 1);
  const all = [...(await heard.until(5))];
  assert.deepEqual(all.slice(0, 1), ['one only you']);
  assert.deepEqual(all.slice(1, 3).sort(), ['one all', 'two all']);
  assert.deepEqual(all.slice(3), ['two read', 'two again']);
});

test('presence: who is there, who comes, who goes', async (t) => {
  const { app, client } = await atWork(t);
  const watcher = await client({ name: 'watcher' });
  const news = new Collected<string>();
  const take = (message: Message) => {
    const { event, name, channel } = message.payload as { event: string; name: string; channel?: string };
    news.add([event, name, channel].filter(Boolean).join(' '));
  };
  await watcher.subscribe('$presence', take);
  await watcher.subscribe('$presence.room', take);
  const guest = await client({ name: 'guest' });
  const seat = await guest.subscribe('room', () => undefined);
  await guest.subscribe('room', () => undefined);
  assert.deepEqual(
    app.presence.members('room').map(({ name }) => name),
    ['guest'],
  );
  await seat.unsubscribe();
  await guest.disconnect();
  assert.deepEqual(await news.until(4), ['join guest', 'join guest room', 'leave guest room', 'leave guest']);
  await assert.rejects(watcher.publishConfirmed('$presence', 1), withCode('REMOTE_FORBIDDEN'));
});

test('a last will is said for a client that is lost, and not for one that says goodbye', async (t) => {
  const { server, client } = await atWork(t);
  const watcher = await client();
  const wills = new Collected<unknown>();
  await watcher.subscribe('wills', (message) => wills.add(message.payload));
  const polite = await client({ will: { channel: 'wills', payload: 'polite' } });
  await polite.disconnect();
  const lost = await client({ will: { channel: 'wills', payload: { who: 'lost' } } });
  const peer = server.connectionManager.getConnection(lost.connectionId as string);
  peer?.close();
  assert.deepEqual(await wills.until(1), [{ who: 'lost' }]);
});

test('a last will is said although its channel was given up as idle since', async (t) => {
  const { app, server, client } = await atWork(t, 'unix', { application: { idleChannelsMax: 1 } });
  const watcher = await client();
  const heard = new Collected<[string, unknown]>();
  await watcher.subscribe('wills.*', (message) => heard.add([message.channelId, message.payload]));
  const lost = await client({ will: { channel: 'wills.lost', payload: 'gone' } });
  // With room for one idle channel, each of these takes the place of the one before.
  for (const name of ['wills.other', 'wills.another']) await watcher.publishConfirmed(name, name);
  assert.equal(app.getChannel('wills.lost'), undefined);
  server.connectionManager.getConnection(lost.connectionId as string)?.close();
  assert.deepEqual(await heard.until(3), [
    ['wills.other', 'wills.other'],
    ['wills.another', 'wills.another'],
    ['wills.lost', 'gone'],
  ]);
});

test('a will that cannot be said is reported, and the connection is gone all the same', async (t) => {
  const { app, server, client } = await atWork(t, 'unix', { application: { autoCreateChannels: false } });
  app.createChannel('wills');
  const faults = new Collected<[string, string | undefined]>();
  server.on('fault', (error, connection) => faults.add([(error as IPCError).code, connection?.id]));
  const gone = new Collected<string>();
  server.on('disconnection', ({ id }) => gone.add(id));
  const lost = await client({ will: { channel: 'wills', payload: 'gone' } });
  const id = lost.connectionId as string;
  app.removeChannel('wills');
  server.connectionManager.getConnection(id)?.close();
  assert.deepEqual(await faults.until(1), [['REMOTE_NO_CHANNEL', id]]);
  assert.deepEqual(await gone.until(1), [id]);
});

test('identity is the server’s: two clients never share an id, and what a client names itself is a name', async (t) => {
  const { server, client } = await atWork(t, 'unix', {
    authenticate: ({ token }) => (token === 'good' ? { user: 'Ada' } : undefined),
  });
  const [one, two] = [await client({ token: 'good', name: 'x' }), await client({ token: 'good', name: 'x' })];
  assert.notEqual(one.connectionId, two.connectionId);
  const peers = server.connectionManager.getConnectionsForApp('test');
  assert.deepEqual(
    peers.map(({ identity }) => identity),
    [{ user: 'Ada' }, { user: 'Ada' }],
  );
  await assert.rejects(client({ token: 'bad' }), withCode('REMOTE_UNAUTHENTICATED'));
  await assert.rejects(client(), withCode('REMOTE_UNAUTHENTICATED'));
});
