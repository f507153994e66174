// The original Python client, unchanged, against our server; and beside it a native client of ours.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { IPCClient } from '../../src/client/index.ts';
import { IPCServer, type ServerApplication } from '../../src/server/index.ts';
import { bodyOf, OldWire } from './old-wire.ts';
import { PythonClient, pythonMissing, PythonProcess } from './python-peer.ts';

const skip = pythonMissing();

interface Bench {
  readonly server: IPCServer;
  readonly app: ServerApplication;
  readonly python: PythonProcess;
  readonly connect: (lane?: string, connectionId?: string) => Promise<PythonClient>;
  readonly native: () => Promise<IPCClient>;
}

async function start(t: TestContext): Promise<Bench> {
  const server = new IPCServer({ host: '127.0.0.1', port: 0 });
  await server.start();
  t.after(() => server.stop());
  const python = await PythonProcess.start('client');
  t.after(() => python.close());
  const app = server.createApplication('app');
  const connect: Bench['connect'] = (lane = 'client', connectionId) =>
    PythonClient.connect(
      python,
      { app: 'app', port: server.port, ...(connectionId === undefined ? {} : { connectionId }) },
      lane,
    );
  const native = async (): Promise<IPCClient> => {
    const client = new IPCClient('app', { host: '127.0.0.1', port: server.port });
    t.after(() => client.disconnect());
    await client.connect();
    return client;
  };
  return { server, app, python, connect, native };
}

const VALUES = { text: 'Grüße 🌍 \u0000 \ud800', list: [1, -2.5, null, true], nested: { '': { __proto__x: [] } } };

test('a request is answered with what the handler returns, on its channel and in reply to its id', {
  skip,
}, async (t) => {
  const { app, connect } = await start(t);
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const client = await connect();
  const answer = await client.request('echo', VALUES);
  assert.deepEqual(answer?.payload, VALUES);
  assert.equal(answer?.message_type, 'response');
  assert.equal(answer?.channel_id, 'echo');
  assert.equal(answer?.app_id, 'app');
  assert.deepEqual((await client.requestAsync('echo', [1])).payload, [1]);
});

test('a ping is answered', { skip }, async (t) => {
  const { connect } = await start(t);
  assert.equal(await (await connect()).ping(), true);
});

test('a request that fails is answered at once: no handler, no channel, a handler that throws', { skip }, async (t) => {
  const { app, connect } = await start(t);
  app.createChannel('fails').setHandler('request', () => {
    throw new Error('no such order');
  });
  app.createChannel('empty');
  const client = await connect();
  for (const channel of ['fails', 'empty', 'unheard of']) {
    const payload = (await client.request(channel, {}))?.payload as Record<string, unknown> | undefined;
    assert.equal(payload?.['error'], true, channel);
    assert.equal(typeof payload['message'], 'string');
    assert.equal(payload['status'], 'error');
  }
});

test('a publish reaches every subscriber, the sender included, old and native, with the id that it left with', {
  skip,
}, async (t) => {
  const { connect, native } = await start(t);
  const [sender, other] = [await connect('sender'), await connect('other')];
  const client = await native();
  const subscription = await client.subscribe('news');
  for (const python of [sender, other]) {
    await python.subscribe('news');
    assert.equal(await python.ping(), true);
  }
  const id = await sender.publish('news', VALUES);
  for (const python of [sender, other]) {
    const message = await python.next('news');
    assert.deepEqual(message.payload, VALUES);
    assert.equal(message.message_type, 'publish');
    assert.equal(message.message_id, id);
  }
  const { value } = await subscription.next();
  assert.deepEqual(value?.payload, VALUES);
  client.publish('news', { from: 'native' });
  for (const python of [sender, other]) assert.deepEqual((await python.next('news')).payload, { from: 'native' });
  await other.unsubscribe('news');
  assert.equal(await other.ping(), true);
  await sender.publish('news', 'last');
  assert.equal((await sender.next('news')).payload, 'last');
  assert.equal(await other.ping(), true);
  assert.deepEqual(other.unread, []);
});

test('bytes of a native client reach an old one as a base64 object, and come back as bytes', { skip }, async (t) => {
  const { connect, native } = await start(t);
  const python = await connect();
  await python.subscribe('data');
  assert.equal(await python.ping(), true);
  const client = await native();
  const subscription = await client.subscribe('data');
  client.publish('data', Uint8Array.of(0, 128, 255));
  assert.deepEqual((await python.next('data')).payload, Uint8Array.of(0, 128, 255));
  assert.deepEqual(
    new Uint8Array((await subscription.next()).value?.payload as Uint8Array),
    Uint8Array.of(0, 128, 255),
  );
  await python.publish('data', Uint8Array.of(7));
  assert.deepEqual(new Uint8Array((await subscription.next()).value?.payload as Uint8Array), Uint8Array.of(7));
});

test('NaN and integers of any size pass from one old client to another and through a handler', { skip }, async (t) => {
  const { app, connect } = await start(t);
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const python = await connect();
  const payload = [Number.NaN, Number.NEGATIVE_INFINITY, 2n ** 80n, -(2n ** 63n)];
  assert.deepEqual((await python.request('echo', payload))?.payload, payload);
  await python.subscribe('news');
  await python.publish('news', payload);
  assert.deepEqual((await python.next('news')).payload, payload);
});

test('a notification reaches its handler', { skip }, async (t) => {
  const { app, connect } = await start(t);
  const noted = new Promise((resolve) => {
    app.createChannel('log').setHandler('notification', (message) => resolve(message.payload));
  });
  await (await connect()).notify('log', VALUES);
  assert.deepEqual(await noted, VALUES);
});

test('one megabyte passes in both directions', { skip }, async (t) => {
  const { app, connect } = await start(t);
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const payload = { text: 'ü'.repeat(1024 * 1024), list: Array.from({ length: 50_000 }, (_, index) => index) };
  assert.deepEqual((await (await connect()).request('echo', payload))?.payload, payload);
});

test('fifty clients at once are each answered with their own', { skip }, async (t) => {
  const { app, server, connect } = await start(t);
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const clients = await Promise.all(Array.from({ length: 50 }, (_, index) => connect(`client ${index}`)));
  assert.equal(server.getStats().totalConnections, 50);
  await Promise.all(clients.map((client) => client.subscribe('all')));
  const answers = await Promise.all(clients.map((client) => client.request('echo', client.lane)));
  assert.deepEqual(
    answers.map((answer) => answer?.payload),
    clients.map((client) => client.lane),
  );
  await clients[0]?.publish('all', 'to all');
  for (const client of clients) assert.equal((await client.next('all')).payload, 'to all');
});

test('a slow handler holds up nobody, not even its own caller', { skip }, async (t) => {
  const { app, connect } = await start(t);
  let finish: (value: string) => void = () => undefined;
  const finished = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const begun = new Promise<void>((resolve) => {
    app.createChannel('slow').setHandler('request', () => {
      resolve();
      return finished;
    });
  });
  const client = await connect();
  const slow = client.requestAsync('slow', {});
  await begun;
  assert.equal(await client.ping(), true);
  assert.equal(await (await connect('other')).ping(), true);
  finish('done');
  assert.equal((await slow).payload, 'done');
});

test('two connections of the same id are two: each is answered, and the end of one leaves the other', {
  skip,
}, async (t) => {
  const { app, server, connect } = await start(t);
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const first = await connect('first', 'same');
  const second = await connect('second', 'same');
  for (const client of [first, second]) {
    await client.subscribe('news');
    assert.equal((await client.request('echo', client.lane))?.payload, client.lane);
  }
  const [peer] = server.connectionManager.getConnectionsForApp('app');
  assert.ok(peer !== undefined);
  server.connectionManager.getConnection(typeof peer === 'string' ? peer : peer.id)?.close();
  assert.equal(await first.untilLost(), true);
  assert.equal((await second.request('echo', 'still'))?.payload, 'still');
  await second.publish('news', 'still');
  assert.equal((await second.next('news')).payload, 'still');
});

test('nobody writes into another application or subscribes another connection', { skip }, async (t) => {
  const { server, connect } = await start(t);
  const victim = await connect('victim');
  await victim.subscribe('news');
  assert.equal(await victim.ping(), true);
  const stranger = await OldWire.join(server.port, 'other', 'stranger');
  stranger.send(bodyOf({ app_id: 'app', message_type: 'publish', channel_id: 'news', payload: 'foreign' }));
  stranger.send(
    bodyOf({ message_type: 'subscribe', channel_id: 'stolen', payload: { connection_id: victim.connectionId } }),
  );
  stranger.send(bodyOf({ message_type: 'publish', channel_id: 'stolen', payload: 'mine' }));
  assert.equal((await stranger.next())['payload'], 'mine');
  stranger.close();
  assert.equal(await victim.ping(), true);
  assert.deepEqual(victim.unread, []);
});

test('a subscriber that has gone is forgotten', { skip }, async (t) => {
  const { server } = await start(t);
  const python = await PythonProcess.start('client');
  t.after(() => python.kill());
  const left = new Promise((resolve) => server.once('disconnection', resolve));
  const client = await PythonClient.connect(python, { app: 'app', port: server.port });
  await client.subscribe('news');
  assert.equal(await client.ping(), true);
  assert.equal(server.listChannels('app')['news']?.subscribers, 1);
  await python.kill();
  await left;
  assert.equal(server.listChannels('app')['news']?.subscribers ?? 0, 0);
  assert.equal(server.getStats().totalConnections, 0);
});
