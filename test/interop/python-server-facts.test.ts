// What the original server does with what it receives: docs/interop-python.md, "The original server". Each
// rule is asked of the real package through a bare socket. It handles the frames of one connection in
// order, so "nothing was answered" is proven by the answer to a later request.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { bodyOf, framed, HELLO, OldWire } from './old-wire.ts';
import { pythonMissing, PythonServer } from './python-peer.ts';

const skip = pythonMissing();

async function startServer(t: TestContext): Promise<PythonServer> {
  const server = await PythonServer.start();
  t.after(() => server.close());
  await server.handle('app', 'echo', 'echo');
  return server;
}

async function join(t: TestContext, server: PythonServer, connectionId: string, app = 'app'): Promise<OldWire> {
  const wire = await OldWire.join(server.port, app, connectionId);
  t.after(() => wire.close());
  return wire;
}

const PROBE = 'probe';

/** What was answered before the answer to a request made now; then 'hung up' where that never came. */
async function answersBefore(wire: OldWire, connectionId: string): Promise<readonly unknown[]> {
  wire.send(bodyOf({ channel_id: 'echo', message_id: PROBE, payload: { connection_id: connectionId } }));
  const answers: unknown[] = [];
  for (;;) {
    const text = await wire.nextText();
    if (text === undefined) return [...answers, 'hung up'];
    const message = JSON.parse(text) as Record<string, unknown>;
    if (message['reply_to'] === PROBE) return answers;
    answers.push(message);
  }
}

test('the handshake is answered by a response on system that answers to no id', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await OldWire.connect(server.port);
  t.after(() => wire.close());
  wire.send(HELLO);
  const { message_id, timestamp, ...rest } = await wire.next();
  assert.match(String(message_id), /^[0-9a-f-]{36}$/);
  assert.equal(typeof timestamp, 'number');
  assert.deepEqual(rest, {
    app_id: 'app',
    channel_id: 'system',
    message_type: 'response',
    payload: { status: 'connected', connection_id: 'raw' },
    reply_to: null,
  });
});

test('a first frame that does not connect is refused by hanging up', { skip }, async (t) => {
  const server = await startServer(t);
  const bodies = [
    bodyOf({ payload: { action: 'hello', connection_id: 'x' } }),
    bodyOf({ payload: { action: 'connect' } }),
    bodyOf({ payload: [] }),
    bodyOf({ message_type: 'notification', payload: { action: 'connect', connection_id: 'x' } }),
  ];
  for (const body of bodies) {
    const wire = await OldWire.connect(server.port);
    wire.send(body);
    assert.deepEqual(await wire.ended(), [], body);
    wire.close();
  }
});

test('a response has a new id, the same app and channel, and the id of the request in reply_to', {
  skip,
}, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  const payload = { connection_id: 'a', text: 'Grüße 🌍 \ud800', deep: [{ x: null }] };
  wire.send(bodyOf({ channel_id: 'echo', message_id: 'r1', payload }));
  const answer = await wire.next();
  assert.deepEqual(
    { ...answer, message_id: '', timestamp: 0 },
    {
      message_id: '',
      app_id: 'app',
      channel_id: 'echo',
      message_type: 'response',
      payload,
      timestamp: 0,
      reply_to: 'r1',
    },
  );
  assert.notEqual(answer['message_id'], 'r1');
});

test('header and body may come in one write, byte by byte, or many frames at once', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  const request = (id: string) =>
    framed(bodyOf({ channel_id: 'echo', message_id: id, payload: { connection_id: 'a' } }));
  for (const byte of request('slow')) wire.socket.write(Uint8Array.of(byte));
  wire.socket.write(Buffer.concat([request('two'), request('three')]));
  for (const id of ['slow', 'two', 'three']) assert.equal((await wire.next())['reply_to'], id);
});

test('nothing is ever said to a ping, a second connect, a subscription, a missing or failing handler', {
  skip,
}, async (t) => {
  const server = await startServer(t);
  await server.handle('app', 'fails', 'fail');
  const wire = await join(t, server, 'a');
  for (const values of [
    { channel_id: 'system', payload: { action: 'ping' } },
    { channel_id: 'system', payload: { action: 'connect', connection_id: 'b' } },
    { message_type: 'subscribe', payload: { connection_id: 'a' } },
    { message_type: 'unsubscribe', payload: { connection_id: 'a' } },
    { channel_id: 'nobody', payload: {} },
    { channel_id: 'fails', payload: {} },
    { channel_id: 'echo', payload: {} },
    { channel_id: 'echo', payload: [1] },
    { message_type: 'notification', payload: {} },
    { message_type: 'response', payload: {} },
  ]) {
    wire.send(bodyOf(values));
    assert.deepEqual(await answersBefore(wire, 'a'), [], JSON.stringify(values));
  }
});

test('a publish reaches every subscriber with its id and type unchanged, the sender included, once each', {
  skip,
}, async (t) => {
  const server = await startServer(t);
  const a = await join(t, server, 'a');
  const b = await join(t, server, 'b');
  for (const [wire, id] of [
    [a, 'a'],
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    wire.send(bodyOf({ message_type: 'subscribe', channel_id: 'news', payload: { connection_id: id } }));
    assert.deepEqual(await answersBefore(wire, id), []);
  }
  assert.deepEqual(await server.subscribers('app', 'news'), ['a', 'b']);
  const message = { message_type: 'publish', channel_id: 'news', message_id: 'p1', payload: [1, 'ü'], timestamp: 12.5 };
  a.send(bodyOf(message));
  for (const wire of [a, b]) assert.deepEqual(await wire.next(), JSON.parse(bodyOf(message)));
  a.send(bodyOf({ message_type: 'unsubscribe', channel_id: 'news', payload: { connection_id: 'a' } }));
  a.send(bodyOf({ ...message, message_id: 'p2' }));
  assert.equal((await b.next())['message_id'], 'p2');
  assert.deepEqual(await answersBefore(a, 'a'), []);
});

test('an empty id and a zero timestamp are replaced, a missing reply_to is none, other types pass unchecked', {
  skip,
}, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  wire.send(bodyOf({ message_type: 'subscribe', channel_id: 'news', payload: { connection_id: 'a' } }));
  wire.send(bodyOf({ message_type: 'publish', channel_id: 'news', message_id: '', timestamp: 0, reply_to: undefined }));
  const replaced = await wire.next();
  assert.match(String(replaced['message_id']), /^[0-9a-f-]{36}$/);
  assert.ok((replaced['timestamp'] as number) > 1_000_000_000);
  assert.equal(replaced['reply_to'], null);
  const odd = { message_type: 'publish', channel_id: 'news', message_id: 5, timestamp: 'now', reply_to: ['x'] };
  wire.send(bodyOf(odd));
  assert.deepEqual(await wire.next(), JSON.parse(bodyOf(odd)));
});

test('a malformed frame is answered by hanging up without a word', { skip }, async (t) => {
  const server = await startServer(t);
  const deep = (depth: number) => bodyOf({ payload: 'deep' }).replace('"deep"', '['.repeat(depth) + ']'.repeat(depth));
  const bodies: Readonly<Record<string, string | Uint8Array>> = {
    'an empty frame': '',
    'no JSON': 'x',
    'no object': '[]',
    'an unknown key': bodyOf({ extra: 1 }),
    'a missing payload': bodyOf({ payload: undefined }),
    'an unknown message type': bodyOf({ message_type: 'error' }),
    'no UTF-8': Uint8Array.of(0xff),
    'a byte order mark': `\ufeff${bodyOf({})}`,
    'a subscription without an object': bodyOf({ message_type: 'subscribe', payload: [1] }),
    'an integer of 4301 digits': bodyOf({ payload: 'n' }).replace('"n"', '7'.repeat(4301)),
    'a payload nested deeper than it can print': deep(600),
  };
  for (const [what, body] of Object.entries(bodies)) {
    const wire = await join(t, server, what);
    wire.send(body);
    assert.deepEqual(await answersBefore(wire, what), ['hung up'], what);
  }
});

test('NaN, infinities and integers of any size are read and written bare', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  const numbers = `[NaN, Infinity, -Infinity, ${'7'.repeat(4300)}, 1e+16, -0.0]`;
  wire.send(bodyOf({ channel_id: 'echo', payload: { connection_id: 'a', n: 'N' } }).replace('"N"', numbers));
  const text = await wire.nextText();
  assert.ok(text?.includes(`"n": ${numbers}`), text);
});

test('a payload nested 400 deep is passed on', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  wire.send(bodyOf({ message_type: 'subscribe', channel_id: 'news', payload: { connection_id: 'a' } }));
  const deep = '['.repeat(400) + ']'.repeat(400);
  wire.send(bodyOf({ message_type: 'publish', channel_id: 'news', payload: 'D' }).replace('"D"', deep));
  assert.ok((await wire.nextText())?.includes(deep));
});

test('a stopped server hangs up, at the latest when the next bytes arrive', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  await server.stop();
  wire.send(bodyOf({}));
  assert.deepEqual(await wire.ended(), []);
});

test('of a key that stands twice the last counts', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'a');
  const body = bodyOf({ channel_id: 'nobody', payload: { connection_id: 'a' } });
  wire.send(`${body.slice(0, -1)},"channel_id":"echo"}`);
  assert.equal((await wire.next())['channel_id'], 'echo');
});

test('anyone writes into another application and subscribes another connection', { skip }, async (t) => {
  const server = await startServer(t);
  await server.handle('other', 'echo', 'echo');
  const victim = await join(t, server, 'victim', 'other');
  victim.send(
    bodyOf({ app_id: 'other', message_type: 'subscribe', channel_id: 'news', payload: { connection_id: 'victim' } }),
  );
  victim.send(bodyOf({ app_id: 'other', message_type: 'publish', channel_id: 'news', payload: 'own' }));
  assert.equal((await victim.next())['payload'], 'own');
  const stranger = await join(t, server, 'stranger');
  stranger.send(bodyOf({ app_id: 'other', message_type: 'publish', channel_id: 'news', payload: 'foreign' }));
  assert.equal((await victim.next())['payload'], 'foreign');
  stranger.send(bodyOf({ message_type: 'subscribe', channel_id: 'stolen', payload: { connection_id: 'victim' } }));
  stranger.send(bodyOf({ message_type: 'publish', channel_id: 'stolen', payload: 'unwanted' }));
  assert.equal((await victim.next())['payload'], 'unwanted');
});

test('a second connection of the same id takes the answers of the first, and loses its place when that one ends', {
  skip,
}, async (t) => {
  const server = await startServer(t);
  const first = await join(t, server, 'same');
  const second = await join(t, server, 'same');
  first.send(bodyOf({ channel_id: 'echo', message_id: 'of the first', payload: { connection_id: 'same' } }));
  assert.equal((await second.next())['reply_to'], 'of the first');
  await server.drop('same');
  await second.ended();
  // The clean-up of either socket removes the id: the server can answer the first no more.
  await server.handle('app', 'seen', 'silent');
  await server.untilConnections(0);
  first.send(bodyOf({ channel_id: 'echo', payload: { connection_id: 'same' } }));
  first.send(bodyOf({ channel_id: 'seen', payload: {} }));
  await server.handled('seen');
  assert.equal(first.hasEnded, false);
});

test('a disconnected subscriber stays in the list of subscribers', { skip }, async (t) => {
  const server = await startServer(t);
  const wire = await join(t, server, 'ghost');
  wire.send(bodyOf({ message_type: 'subscribe', channel_id: 'news', payload: { connection_id: 'ghost' } }));
  assert.deepEqual(await answersBefore(wire, 'ghost'), []);
  await server.drop('ghost');
  await wire.ended();
  assert.deepEqual(await server.subscribers('app', 'news'), ['ghost']);
});
