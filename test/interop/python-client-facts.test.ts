// What the original client sends and how it takes what it receives: docs/interop-python.md, "The original
// client". Each rule is asked of the real package through a bare listener.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { bodyOf, OldListener, type OldWire } from './old-wire.ts';
import { PythonClient, pythonMissing, PythonProcess } from './python-peer.ts';

const skip = pythonMissing();
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CONNECTED = bodyOf({ message_type: 'response', channel_id: 'system', payload: { status: 'connected' } });

interface Pair {
  readonly python: PythonProcess;
  readonly listener: OldListener;
  readonly connect: (lane?: string, answer?: string) => Promise<{ client: PythonClient; wire: OldWire; hello: string }>;
}

async function start(t: TestContext): Promise<Pair> {
  const listener = await OldListener.start();
  const python = await PythonProcess.start('client');
  const wires: OldWire[] = [];
  t.after(async () => {
    for (const wire of wires) wire.close();
    await python.close();
    await listener.close();
  });
  const connect: Pair['connect'] = async (lane = 'client', answer = CONNECTED) => {
    const connecting = PythonClient.connect(python, { app: 'app', port: listener.port }, lane);
    const wire = await listener.accept();
    wires.push(wire);
    const hello = (await wire.nextText()) ?? '';
    wire.send(answer);
    return { client: await connecting, wire, hello };
  };
  return { python, listener, connect };
}

test('the first frame asks for a connection under an id of the client; ASCII only, seven keys in order', {
  skip,
}, async (t) => {
  const { connect } = await start(t);
  const { client, wire, hello } = await connect();
  const message = JSON.parse(hello) as Record<string, unknown>;
  assert.deepEqual(Object.keys(message), [
    'message_id',
    'app_id',
    'channel_id',
    'message_type',
    'payload',
    'timestamp',
    'reply_to',
  ]);
  assert.match(String(message['message_id']), UUID);
  assert.match(client.connectionId, UUID);
  assert.ok(!Number.isInteger(message['timestamp']));
  assert.deepEqual(
    { ...message, message_id: '', timestamp: 0 },
    {
      message_id: '',
      app_id: 'app',
      channel_id: 'system',
      message_type: 'request',
      payload: { action: 'connect', connection_id: client.connectionId },
      timestamp: 0,
      reply_to: null,
    },
  );
  await client.publish('news', 'ü🌍');
  assert.ok((await wire.nextText())?.includes('"\\u00fc\\ud83c\\udf0d"'));
});

test('the handshake is a response with the status connected; its channel, reply_to and other values are not looked at', {
  skip,
}, async (t) => {
  const { connect, python, listener } = await start(t);
  const { client } = await connect(
    'odd',
    bodyOf({ message_type: 'response', reply_to: 'x', payload: { status: 'connected', connection_id: 'other' } }),
  );
  assert.notEqual(client.connectionId, 'other');
  for (const values of [
    { message_type: 'response', payload: { status: 'refused', message: 'full' } },
    { message_type: 'notification', payload: { status: 'connected' } },
    { message_type: 'response', payload: null },
  ]) {
    const connecting = PythonClient.connect(python, { app: 'app', port: listener.port }, JSON.stringify(values));
    const wire = await listener.accept();
    await wire.next();
    wire.send(bodyOf(values));
    await assert.rejects(connecting, /was not accepted/);
    wire.close();
  }
});

test('subscribe and unsubscribe carry the connection id alone; publish, notify and request carry the bare payload', {
  skip,
}, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  const connection_id = client.connectionId;
  await client.subscribe('news');
  await client.unsubscribe('news');
  const published = await client.publish('news', [1]);
  const notified = await client.notify('news', 'text');
  const asking = client.request('news', null);
  const seen: Record<string, unknown>[] = [];
  for (let count = 0; count < 5; count++) seen.push(await wire.next());
  assert.deepEqual(
    seen.map((message) => [message['message_type'], message['payload']]),
    [
      ['subscribe', { connection_id }],
      ['unsubscribe', { connection_id }],
      ['publish', [1]],
      ['notification', 'text'],
      ['request', null],
    ],
  );
  assert.equal(seen[2]?.['message_id'], published);
  assert.equal(seen[3]?.['message_id'], notified);
  wire.send(bodyOf({ message_type: 'response', reply_to: seen[4]?.['message_id'] }));
  await asking;
});

test('whatever carries the id of a request in reply_to is its answer, of any type and channel', { skip }, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  for (const message_type of ['response', 'publish', 'notification']) {
    const asking = client.request('channel', {});
    const { message_id } = await wire.next();
    wire.send(
      bodyOf({ message_type, channel_id: 'elsewhere', app_id: 'other', reply_to: message_id, payload: message_type }),
    );
    assert.equal((await asking)?.payload, message_type);
  }
});

test('a request that nobody answers gives None after its time-out', { skip }, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  const asking = client.request('channel', {}, 0.05);
  await wire.next();
  assert.equal(await asking, null);
});

test('ping is a request on system, true for the status pong and false for anything else', { skip }, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  for (const [payload, result] of [
    [{ status: 'pong' }, true],
    [{ status: 'no' }, false],
    [null, false],
  ] as const) {
    const pinging = client.ping();
    const { message_id, ...ping } = await wire.next();
    assert.equal(ping['channel_id'], 'system');
    assert.equal(ping['message_type'], 'request');
    assert.deepEqual(ping['payload'], { action: 'ping' });
    wire.send(bodyOf({ message_type: 'response', reply_to: message_id, payload }));
    assert.equal(await pinging, result);
  }
});

test('a message without reply_to goes to the handler of its channel, whatever its type and application', {
  skip,
}, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  await client.subscribe('news');
  for (const message_type of ['publish', 'notification', 'request', 'response', 'subscribe', 'unsubscribe']) {
    wire.send(bodyOf({ channel_id: 'unknown', payload: 'dropped' }));
    wire.send(bodyOf({ message_type, channel_id: 'news', app_id: 'other', payload: message_type }));
    assert.equal((await client.next('news')).payload, message_type);
  }
  assert.deepEqual(client.unread, []);
});

test('values beyond JSON arrive: NaN, large integers, lone surrogates; bytes as an object', { skip }, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  await client.subscribe('news');
  const values = '[NaN, -Infinity, 123456789012345678901234567890, "\\ud800", {"__bytes__": "AAEC"}]';
  wire.send(bodyOf({ channel_id: 'news', payload: 'V' }).replace('"V"', values));
  const { payload } = await client.next('news');
  assert.deepEqual(payload, [Number.NaN, -Infinity, 123456789012345678901234567890n, '\ud800', Uint8Array.of(0, 1, 2)]);
});

test('a malformed frame makes the client give up the connection', { skip }, async (t) => {
  const { connect } = await start(t);
  const bodies = {
    'an empty frame': '',
    'no JSON': 'x',
    'an unknown key': bodyOf({ extra: 1 }),
    'an unknown type': bodyOf({ message_type: 'error' }),
  };
  for (const [what, body] of Object.entries(bodies)) {
    const { client, wire } = await connect(what);
    wire.send(body);
    assert.equal(await client.untilLost(), true, what);
    assert.equal((await client.info())['connected'], false);
    // It stops reading, but the socket stays open until the object is collected or the process ends.
    assert.equal(wire.hasEnded, false, what);
  }
});

test('a client that disconnects hangs up at the latest when the next frame arrives, and says nothing before', {
  skip,
}, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  await client.disconnect();
  wire.send(bodyOf({ message_type: 'notification', channel_id: 'system', payload: null }));
  assert.deepEqual(await wire.ended(), []);
});

test('a notification on system disturbs no client', { skip }, async (t) => {
  const { connect } = await start(t);
  const { client, wire } = await connect();
  await client.subscribe('news');
  await wire.next();
  wire.send(bodyOf({ message_type: 'notification', channel_id: 'system', payload: null }));
  wire.send(bodyOf({ message_type: 'publish', channel_id: 'news', payload: 'after' }));
  assert.equal((await client.next('news')).payload, 'after');
  assert.deepEqual(client.unread, []);
});

test('a client that loses its connection notices, and stays disconnected', { skip }, async (t) => {
  const { connect, listener } = await start(t);
  const { client, wire } = await connect();
  await client.subscribe('news');
  wire.close();
  assert.equal(await client.untilLost(), true);
  await assert.rejects(client.publish('news', 1), /ConnectionError/);
  assert.equal(listener.waitingCount, 0);
});
