// Every documented name of the server does what it says, seen from outside: by the entry that users import,
// with clients that are connected.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  Application,
  Channel,
  configFromEnv,
  type ConnectionManager,
  FrameworkServer,
  IPCServer,
  MemoryConnectionManager,
  Message,
  MessageType,
  type ServerConnection,
  ServerMessage,
} from '../../src/server/index.ts';
import { FrameFlag, FrameType } from '../../src/protocol/frame-types.ts';
import { bodyOf, OldWire } from '../interop/old-wire.ts';
import { atWork, Collected, deferred, withCode } from '../support/broker-at-work.ts';
import { frame, RawNative } from '../support/raw-native.ts';

test('FrameworkServer is IPCServer; what createApplication and createChannel give are the exported classes', () => {
  assert.equal(FrameworkServer, IPCServer);
  const server = new FrameworkServer({ listen: [] });
  const app = server.createApplication('shop');
  assert.ok(app instanceof Application && app.createChannel('a') instanceof Channel);
});

test('applications: created once, named by their id unless told otherwise, listed with what is in them', async (t) => {
  const { server, app, client } = await atWork(t);
  assert.equal(server.createApplication('test'), app);
  assert.deepEqual([app.appId, app.name], ['test', 'test']);
  assert.equal(server.createApplication('test', 'The test').name, 'The test');
  assert.equal(server.createApplication('test').name, 'The test');
  assert.equal(server.getApplication('other'), undefined);
  const before = app.lastActivity;
  assert.ok(app.createdAt <= before);
  const one = await client();
  await one.subscribe('a', () => undefined);
  const { test: listed } = server.listApplications();
  assert.deepEqual(listed, {
    name: 'The test',
    channels: 1,
    connections: 1,
    createdAt: app.createdAt,
    lastActivity: app.lastActivity,
  });
  app.updateActivity(before + 1000);
  assert.equal(app.lastActivity, before + 1000);
  for (const bad of ['', 'a\u0000b', 'x'.repeat(256), undefined as unknown as string, 7 as unknown as string]) {
    assert.throws(() => server.createApplication(bad), withCode('USAGE_INVALID_NAME'));
  }
});

test('channels: created once, listed, and gone with their subscriptions when removed', async (t) => {
  const { server, app, client } = await atWork(t);
  const channel = app.createChannel('news');
  assert.equal(app.createChannel('news'), channel);
  assert.deepEqual([channel.channelId, channel.appId, app.getChannel('news')], ['news', 'test', channel]);
  const heard = new Collected<unknown>();
  const subscriber = await client();
  await subscriber.subscribe('news', ({ payload }) => heard.add(payload));
  const expected = { news: { subscribers: 1, createdAt: channel.createdAt } };
  assert.deepEqual([app.listChannels(), server.listChannels('test')], [expected, expected]);
  assert.throws(() => server.listChannels('none'), withCode('REMOTE_NO_APPLICATION'));
  const [entry] = channel.getSubscribers();
  assert.ok(entry !== undefined);
  assert.deepEqual([entry.connection.id, entry.filter, entry.policy], [subscriber.connectionId, 'news', 'block']);
  channel.removeSubscriber(entry);
  assert.equal(channel.publish('to nobody').receivers, 0);
  assert.equal(channel.removeSubscriber(entry).removed, false);
  assert.equal(channel.addSubscriber(entry).added, true);
  assert.equal(channel.addSubscriber(entry).added, false);
  assert.equal(channel.publish('again').receivers, 1);
  assert.deepEqual(await heard.until(1), ['again']);
  assert.deepEqual([app.removeChannel('news'), app.removeChannel('news')], [true, false]);
  assert.equal(channel.removed, true);
  assert.throws(() => channel.setHandler('request', () => 1), withCode('USAGE_CLOSED'));
  assert.equal(app.createChannel('news').publish('new').receivers, 0);
});

test('handlers are set, read and taken away; what is no type or no function is refused by name', async (t) => {
  const { app, client } = await atWork(t);
  const channel = app.createChannel('ask');
  const handler = (): string => 'yes';
  assert.equal(channel.setHandler(MessageType.REQUEST, handler), channel);
  assert.equal(channel.getHandler('request'), handler);
  const caller = await client();
  assert.equal(await caller.call('ask', 1), 'yes');
  channel.setHandler('request', undefined);
  await assert.rejects(caller.call('ask', 1), withCode('REMOTE_NO_HANDLER'));
  assert.throws(() => channel.setHandler('shout' as never, handler), withCode('USAGE_INVALID_OPTION'));
  assert.throws(() => channel.setHandler('request', 'yes' as never), withCode('USAGE_INVALID_OPTION'));
});

test('a message has the seven keys of the original, and is read back from what it wrote', async (t) => {
  const { app, client } = await atWork(t);
  const seen = new Collected<unknown>();
  app.createChannel('ask').setHandler('request', (message) => {
    assert.ok(message instanceof ServerMessage && message instanceof Message);
    const copies = [Message.fromJson(message.toJson()), Message.fromDict(message.toDict())];
    for (const copy of copies) seen.add(copy.toDict());
    seen.add(message.toDict());
    const response = message.createResponse({ a: 2 });
    assert.deepEqual([response.replyTo, response.messageType], [message.messageId, MessageType.RESPONSE]);
    return response.payload;
  });
  const caller = await client();
  const answer = await caller.sendRequest('ask', { a: 1 });
  assert.deepEqual(answer?.payload, { a: 2 });
  const [first, second, original] = await seen.until(3);
  assert.deepEqual(first, original);
  assert.deepEqual(second, original);
  assert.deepEqual(Object.keys(original as object).sort(), [
    ...['app_id', 'channel_id', 'message_id', 'message_type', 'payload', 'reply_to', 'timestamp'],
  ]);
  for (const bad of ['', '[]', '{}', '{"message_type":"shout"}']) {
    assert.throws(() => Message.fromJson(bad), withCode('PEER_MALFORMED_PAYLOAD'));
  }
});

/** Notes what it is told. */
class Noting extends MemoryConnectionManager {
  readonly told: string[] = [];

  override addConnection(connection: ServerConnection): void {
    this.told.push(`add ${connection.name}`);
    super.addConnection(connection);
  }

  override removeConnection(connection: ServerConnection): void {
    this.told.push(`remove ${connection.name}`);
    super.removeConnection(connection);
  }

  override updateActivity(): void {
    this.told.push('activity');
  }
}

test('connectionManager: one of the user’s own takes the place, and knows whoever is connected', async (t) => {
  const { server, client } = await atWork(t, 'unix', { heartbeatIntervalMs: 20 });
  const noting = new Noting();
  server.connectionManager = noting satisfies ConnectionManager;
  const one = await client({ name: 'one' });
  const [connection] = noting.listConnections();
  assert.equal(noting.getConnectionCount(), 1);
  assert.equal(noting.getConnection(one.connectionId as string), connection);
  assert.deepEqual(noting.getConnectionsForApp('test'), [connection]);
  assert.deepEqual(noting.getConnectionsForApp('other'), []);
  assert.equal(server.sendToConnection(one.connectionId as string, { channelId: 'a', payload: 1 }), true);
  assert.equal(server.sendToConnection('nobody', { channelId: 'a', payload: 1 }), false);
  while (!noting.told.includes('activity')) await one.ping();
  const left = once(server, 'disconnection');
  await one.disconnect();
  await left;
  assert.deepEqual(
    noting.told.filter((told) => told !== 'activity'),
    ['add one', 'remove one'],
  );
  assert.equal(noting.getConnectionCount(), 0);
});

test('configFromEnv reads what the original read, and refuses what is no number', () => {
  assert.deepEqual(configFromEnv({}), {});
  const env = { IPC_HOST: '127.0.0.1', IPC_PORT: '9000', IPC_MAX_CONNECTIONS: '7', IPC_TIMEOUT: '2.5' };
  assert.deepEqual(configFromEnv(env), { host: '127.0.0.1', port: 9000, maxConnections: 7, timeout: 2500 });
  assert.throws(() => configFromEnv({ IPC_PORT: 'many' }), withCode('USAGE_INVALID_OPTION'));
});

test('getStats counts what happens', async (t) => {
  const { server, app, client } = await atWork(t);
  const gate = deferred<number>();
  app.createChannel('slow').setHandler('request', () => gate.promise);
  const caller = await client();
  const before = server.getStats();
  const slow = caller.call('slow', 'x');
  while (server.getStats().requestsOpen === 0) await caller.ping();
  gate.resolve(1);
  await slow;
  await assert.rejects(caller.call('nobody', 1));
  const { running, totalConnections, totalApplications, messagesIn, bytesIn, bytesOut, errors, uptimeMs } =
    server.getStats();
  assert.deepEqual(
    { running, totalConnections, totalApplications },
    { running: true, totalConnections: 1, totalApplications: 1 },
  );
  assert.ok(messagesIn > before.messagesIn && bytesIn > before.bytesIn && bytesOut > before.bytesOut);
  assert.ok(errors > before.errors && uptimeMs >= before.uptimeMs);
});

test('the options of applications hold: how many, how many channels, what is kept, what channels begin with', async (t) => {
  const application = {
    channelsMax: 2,
    idleChannelsMax: 1,
    retainedBytesMax: 100,
    channelDefaults: { retain: true, policy: 'drop-oldest' },
  } as const;
  const { server, app, client } = await atWork(t, 'unix', { applicationsMax: 1, application });
  assert.throws(() => server.createApplication('second'), withCode('LIMIT_APPLICATIONS'));
  assert.equal(app.createChannel('a').settings.policy, 'drop-oldest');
  app.createChannel('b');
  assert.throws(() => app.createChannel('c'), withCode('LIMIT_CHANNELS'));
  app.createChannel('a').publish(Buffer.alloc(60));
  app.createChannel('b').publish(Buffer.alloc(60));
  const heard = new Collected<string>();
  const subscriber = await client();
  await subscriber.subscribe('*', ({ channelId, retained }) => heard.add(`${channelId} ${retained}`));
  await subscriber.call('system', { action: 'ping' });
  assert.deepEqual(heard.values, ['b true']);
  assert.deepEqual([app.clearRetained('b'), app.clearRetained('b')], [true, false]);
});

test('limits.partialMessagesMax is how many messages in pieces one client may have begun', async (t) => {
  const work = await atWork(t, 'unix', { limits: { partialMessagesMax: 1 } });
  const begin = (id: number): Buffer =>
    frame({ type: FrameType.FRAGMENT, id, flags: FrameFlag.FIRST, value: 200_000, payload: Buffer.alloc(10) });
  const raw = await RawNative.join(work, begin(1), begin(2));
  assert.equal(await raw.goodbye(), 'LIMIT_MESSAGE_BYTES');
  raw.close();
});

test('a connectionManager that throws is reported, and its clients are served all the same', async (t) => {
  const { server, client } = await atWork(t, 'unix', { heartbeatIntervalMs: 20 });
  const faults = new Collected<string>();
  server.on('fault', (error) => faults.add(error.message));
  const fail = (what: string) => (): never => {
    throw new Error(what);
  };
  const names = ['addConnection', 'removeConnection', 'updateActivity'] as const;
  const throwing = Object.fromEntries(names.map((name) => [name, fail(name)]));
  server.connectionManager = Object.assign(new MemoryConnectionManager(), throwing);
  const one = await client();
  while (!faults.values.includes('updateActivity')) await one.ping();
  await one.disconnect();
  while (server.getStats().totalConnections > 0) await new Promise(setImmediate);
  assert.deepEqual([...new Set(faults.values)].sort(), [...names].sort());
});

test('the logger hears what nobody can be told', async (t) => {
  const warned = new Collected<string | undefined>();
  const logger = { warn: (_: unknown, message?: string) => warned.add(message) };
  const { server, app } = await atWork(t, 'tcp', { host: '127.0.0.1', logger });
  app.createChannel('news').setHandler('notification', () => {
    throw new Error('of no interest to the sender');
  });
  const wire = await OldWire.join(server.port, 'test', 'old');
  wire.send(bodyOf({ message_type: 'notification', channel_id: 'news', app_id: 'test' }));
  assert.deepEqual(await warned.until(1), ['of no interest to the sender']);
  wire.close();
});

test('what is called after stop says so, or does what it can', async () => {
  const server = new IPCServer({ port: 0 });
  const app = server.createApplication('test');
  await server.start();
  await server[Symbol.asyncDispose]();
  await server.stop();
  await assert.rejects(server.start(), withCode('USAGE_CLOSED'));
  assert.equal(app.createChannel('a').publish(1).receivers, 0);
  assert.equal(server.broadcastToApplication('test', { channelId: 'a', payload: 1 }), 0);
  assert.equal(server.routeMessage({ appId: 'test', channelId: 'a', payload: 1 }), 0);
  assert.equal(server.getStats().running, false);
  assert.deepEqual(server.listening, []);
});
