// The names that users of the original package know do what they did there, in the manner of this language.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameworkClient, IPCClient, type Message, MessageType } from '../../src/client/index.ts';
import { coded, once, scene } from '../support/client-scene.ts';

test('FrameworkClient is IPCClient; connected, isConnected and connectionId tell the same', async () => {
  assert.equal(FrameworkClient, IPCClient);
  await using stage = await scene();
  const client = new FrameworkClient('shop', { path: stage.path });
  assert.deepEqual(
    [client.appId, client.connected, client.isConnected(), client.connectionId],
    ['shop', false, false, null],
  );
  {
    await using used = client;
    await used.connect();
    assert.deepEqual([client.connected, client.isConnected()], [true, true]);
    assert.equal(typeof client.connectionId, 'string');
  }
  assert.deepEqual([client.connected, client.isConnected(), client.connectionId], [false, false, null]);
});

test('sendMessage sends a request, a notification or a publish, and gives an id of its own each time', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const told = new Promise<Message>((resolve) => {
    const channel = stage.server.getApplication('shop')?.createChannel('log');
    channel?.setHandler('notification', resolve);
  });
  const news = await client.subscribe('news');
  const ids = [
    client.sendMessage('log', MessageType.NOTIFICATION, 'told'),
    client.sendMessage('news', MessageType.PUBLISH, 'published'),
    client.sendMessage('sum', MessageType.REQUEST, [1]),
    client.notify('log', 1),
    client.publish('news', 1),
    client.request('sum', [1]),
  ];
  assert.equal(new Set(ids).size, ids.length);
  assert.equal((await told).payload, 'told');
  assert.equal((await news.next()).value?.payload, 'published');
  const failed = once<[error: Error]>((listener) => client.onError(listener));
  client.sendMessage('nobody', MessageType.REQUEST, 1);
  assert.ok(coded('REMOTE_NO_HANDLER')((await failed)[0]));
});

test('a handler of createChannelHandler hears what is published and what the server says, until it is removed', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const other = await stage.client();
  const connection = stage.server.connectionManager.listConnections().find(({ id }) => id === client.connectionId);
  const seen: unknown[] = [];
  await client.createChannelHandler('all', ({ payload }) => seen.push(payload));
  const second = client.createChannelHandler('all', ({ payload }) => seen.push(payload));
  await client.removeChannelHandler('other');
  await second;
  await other.publishConfirmed('all', 'published');
  connection?.notify('all', 'said');
  await client.ping();
  assert.deepEqual([...seen], ['published', 'published', 'said', 'said']);
  const late = client.createChannelHandler('all', ({ payload }) => seen.push(payload));
  await client.removeChannelHandler('all');
  await late;
  assert.equal(await other.publishConfirmed('all', 'unheard'), 0);
  connection?.notify('all', 'unheard');
  await client.ping();
  assert.equal(seen.length, 4);
  assert.equal(client.getConnectionInfo().subscriptions, 0);
});

test('a handler of createChannelHandler ends with its subscription: by disconnect, or by the server', async () => {
  await using stage = await scene();
  const client = await stage.client();
  client.onError(() => undefined);
  const seen: unknown[] = [];
  const told = new Promise<void>((resolve) => {
    client.onNotification('end', () => resolve());
  });
  await client.createChannelHandler('all', ({ payload }) => seen.push(payload));
  await client.disconnect();
  await client.connect();
  await client.createChannelHandler('news', ({ payload }) => seen.push(payload));
  assert.equal(stage.server.getApplication('shop')?.removeChannel('news'), true);
  await client.ping();
  const [connection] = stage.server.connectionManager.listConnections();
  for (const channel of ['all', 'news', 'end']) connection?.notify(channel, 'unheard');
  await told;
  assert.deepEqual(seen, []);
});

test('a channel that the server removes ends its subscriptions with REMOTE_NO_CHANNEL, and leaves patterns alone', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const shop = stage.server.getApplication('shop');
  const reported: Error[] = [];
  client.onError((error) => reported.push(error));
  const iterated = await client.subscribe('news');
  const handled = await client.subscribe('news', () => {});
  const pattern = await client.subscribe('*');
  const next = assert.rejects(iterated.next(), coded('REMOTE_NO_CHANNEL'));
  assert.equal(shop?.removeChannel('news'), true);
  await next;
  await client.ping();
  assert.deepEqual([iterated.active, handled.active, pattern.active], [false, false, true]);
  assert.equal(reported.filter(coded('REMOTE_NO_CHANNEL')).length, 2);
  assert.equal(client.getConnectionInfo().subscriptions, 1);
  // The name is free for a new beginning.
  const again = await client.subscribe('news');
  await client.publishConfirmed('news', 'anew');
  assert.equal((await again.next()).value?.payload, 'anew');
});

test('sendRequest gives the response, and null at the time-out only to who asks for it', async () => {
  await using stage = await scene();
  stage.server
    .getApplication('shop')
    ?.createChannel('never')
    .setHandler('request', () => new Promise(() => {}));
  const client = await stage.client();
  const response = await client.sendRequest('sum', [1, 2]);
  assert.deepEqual([response.payload, response.channelId, response.messageType], [3, 'sum', 'response']);
  assert.equal(await client.sendRequest('never', 1, { timeout: 1, nullOnTimeout: true }), null);
  await assert.rejects(client.sendRequest('never', 1, { timeout: 1 }), { name: 'TimeoutError', code: 'TIME_OUT' });
  const id = await new Promise((resolve) => {
    const sent: string = client.sendRequestAsync('sum', [1, 2], (message, error) => {
      assert.equal(error, null);
      assert.equal(message?.payload, 3);
      assert.equal(message?.replyTo, sent);
      resolve(sent);
    });
  });
  assert.equal(typeof id, 'string');
});

test('unsubscribe ends every subscription to the channel, waitForMessage waits for one message', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const other = await stage.client();
  const [first, second, third] = [
    await client.subscribe('news'),
    await client.subscribe('news', () => {}),
    await client.subscribe('news.*'),
  ];
  await client.unsubscribe('news');
  assert.deepEqual([first.active, second.active, third.active], [false, false, true]);
  const waiting = client.waitForMessage('news', 0);
  while ((await other.publishConfirmed('news', 'one')) === 0);
  assert.equal((await waiting).payload, 'one');
  await assert.rejects(client.waitForMessage('news', 1), coded('TIME_OUT'));
  assert.equal(client.getConnectionInfo().subscriptions, 1);
});

test('every listener gives what takes it out again; several of one kind are all called', async () => {
  await using stage = await scene();
  const client = new IPCClient('shop', { path: stage.path });
  const seen: string[] = [];
  const stops = [
    client.onConnected(() => seen.push('connected 1')),
    client.onConnected(({ returned }) => seen.push(`connected 2 ${returned}`)),
    client.onDisconnected((error, returning) => seen.push(`disconnected ${error.code} ${returning}`)),
  ];
  await client.connect();
  await client.disconnect();
  assert.deepEqual(seen, ['connected 1', 'connected 2 false', 'disconnected USAGE_CLOSED false']);
  for (const stop of stops) {
    stop();
    stop();
  }
  await client.connect();
  await client.disconnect();
  assert.equal(seen.length, 3);
});
