// Before its handshake a stream is held to little: few bytes, and few streams at a time. Whoever comes in
// properly always finds a place.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { FrameType } from '../../src/protocol/frame-types.ts';
import type { IPCServer, ServerOptions } from '../../src/server/index.ts';
import { bodyOf, framed as oldFrame, HELLO as OLD_HELLO } from '../interop/old-wire.ts';
import { type AtWork, atWork, deferred } from '../support/broker-at-work.ts';
import { frame, hello, RawNative } from '../support/raw-native.ts';

const UPGRADE =
  'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

const overTcp = (t: TestContext, options: ServerOptions = {}): Promise<AtWork> =>
  atWork(t, 'tcp', { host: '127.0.0.1', handshakeTimeoutMs: 600_000, ...options });

function stream(server: IPCServer, ...bytes: (Buffer | string)[]): Socket {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  for (const one of bytes) socket.write(one);
  return socket;
}

/** Waits until so many streams are on their way in. */
async function pending(work: AtWork, count: number): Promise<void> {
  while (work.server.getStats().pendingConnections !== count) await new Promise((resolve) => setTimeout(resolve, 5));
}

const ended = (socket: Socket): Promise<unknown> => {
  socket.resume();
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
};

test('a WebSocket message larger than a handshake is refused before it was received, where HELLO has not come', async (t) => {
  const work = await overTcp(t);
  const socket = stream(work.server, UPGRADE);
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  await once(socket, 'data');
  // 900 KiB are announced; 200 come.
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([head, Buffer.alloc(200 * 1024)]));
  await ended(socket);
  const answer = Buffer.concat(received);
  assert.ok(answer.includes(Buffer.from('LIMIT_MESSAGE_BYTES')), 'the close frame says why');
  assert.ok(answer.includes(Buffer.from([0x88])));
  await pending(work, 0);
});

test('many small WebSocket messages that complete no HELLO are no way around it', async (t) => {
  const work = await overTcp(t);
  const socket = new WebSocket(`ws://127.0.0.1:${work.server.port}`);
  await once(socket, 'open');
  const closed = once(socket, 'close') as Promise<[number, Buffer]>;
  // A body of 60,000 bytes, in pieces of one byte: with what each message costs besides, too much.
  socket.send(Buffer.from([0, 0, 0xea, 0x60, 0x80]));
  for (let i = 0; i < 59_990; i += 1) socket.send(Buffer.from([0]));
  assert.equal((await closed)[0], 4106);
});

for (const [title, first] of [
  ['a native body', Buffer.from([0, 1, 0, 1, 0x80])],
  ['a body of the old protocol', Buffer.from([0, 1, 0, 1, 0x7b])],
] as const) {
  test(`${title} of more than 65,536 bytes is refused by its length, where HELLO has not come`, async (t) => {
    const work = await overTcp(t);
    work.server.on('fault', () => undefined);
    await ended(stream(work.server, first));
    await pending(work, 0);
  });
}

test('HELLO may come in pieces, byte by byte, with other frames behind it in its message', async (t) => {
  const work = await overTcp(t);
  const socket = new WebSocket(`ws://127.0.0.1:${work.server.port}`);
  const welcomed = once(socket, 'message');
  await once(socket, 'open');
  const bytes = hello();
  for (const byte of bytes.subarray(0, -1)) socket.send(Buffer.from([byte]));
  const pings = Buffer.concat(Array.from({ length: 3000 }, () => frame({ type: FrameType.PING, id: 1 })));
  socket.send(Buffer.concat([bytes.subarray(-1), pings]));
  assert.equal(((await welcomed)[0] as Buffer)[4], FrameType.WELCOME);
  socket.close();
  await once(socket, 'close');
});

test('what is sent behind HELLO in messages of its own, before anybody answered, is looked at after the WELCOME', async (t) => {
  const gate = deferred<string>();
  const asked = deferred();
  const authenticate = (): Promise<string> => {
    asked.resolve();
    return gate.promise;
  };
  const work = await overTcp(t, { authenticate });
  const socket = new WebSocket(`ws://127.0.0.1:${work.server.port}`);
  await once(socket, 'open');
  const types: (number | undefined)[] = [];
  const answered = new Promise<void>((resolve, reject) => {
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('message', (data: Buffer) => {
      types.push(data[4]);
      // PONG has 20 bytes; the last of them may share a message with others.
      if (data.subarray(-16)[0] === FrameType.PONG && data.at(-9) === 2) resolve();
    });
  });
  for (const bytes of [hello(), frame({ type: FrameType.PING, id: 1 }), frame({ type: FrameType.PING, id: 2 })]) {
    socket.send(bytes);
  }
  await asked.promise;
  gate.resolve('somebody');
  await answered;
  assert.equal(types[0], FrameType.WELCOME);
  socket.close();
  await once(socket, 'close');
});

for (const transport of ['websocket', 'tcp'] as const) {
  test(`${transport}: what waited for a full wire arrives, however much it is, both ways`, async (t) => {
    const work = await atWork(t, transport, { limits: { messageBytesMax: 256 * 1024 } });
    work.app.createChannel('echo').setHandler('request', (message) => message.payload);
    const client = await work.client();
    const payload = Buffer.alloc(100_000, 'x');
    const answers = await Promise.all(Array.from({ length: 200 }, () => client.call('echo', payload)));
    assert.ok(answers.every((bytes) => payload.equals(bytes as Buffer)));
  });
}

test('a WebSocket message over 1 MiB is refused by its length', async (t) => {
  const work = await overTcp(t);
  const socket = new WebSocket(`ws://127.0.0.1:${work.server.port}`);
  await once(socket, 'open');
  socket.send(hello());
  await once(socket, 'message');
  socket.send(Buffer.alloc(1024 * 1024 + 1));
  assert.equal(((await once(socket, 'close')) as [number])[0], 1009);
});

const SILENT: Readonly<Record<string, readonly (Buffer | string)[]>> = {
  'say nothing': [],
  'send half a hello': [hello().subarray(0, 20)],
  'send half an old hello': [oldFrame(OLD_HELLO).subarray(0, 20)],
  'send half an HTTP request': ['GET / HTTP/1.1\r\nhost: x\r\nx-slow: '],
  'opened a WebSocket': [UPGRADE],
};

for (const [title, bytes] of Object.entries(SILENT)) {
  test(`streams that ${title} make room for those that come: the longest silent first`, async (t) => {
    const work = await overTcp(t, { handshakesMax: 3 });
    const silent: Socket[] = [];
    for (let i = 1; i <= 3; i += 1) {
      silent.push(stream(work.server, ...bytes));
      await pending(work, i);
    }
    const client = await work.client();
    await ended(silent[0] as Socket);
    await client.ping();
    assert.equal(work.server.getStats().connectionsRefused, 1);
    assert.equal(work.server.getStats().pendingConnections, 2);
    const more = stream(work.server, ...bytes);
    await pending(work, 3);
    const other = await work.client();
    await ended(silent[1] as Socket);
    await other.ping();
    for (const socket of [silent[2] as Socket, more]) {
      assert.equal(socket.closed, false);
      socket.destroy();
    }
    await pending(work, 0);
  });
}

test('a native client that is cut off to make room is told so, as far as it can be', async (t) => {
  const work = await overTcp(t, { handshakesMax: 1 });
  const raw = await RawNative.open({ port: work.server.port, host: '127.0.0.1' }, hello().subarray(0, 30));
  await pending(work, 1);
  await work.client();
  assert.equal(await raw.goodbye(), 'LIMIT_CONNECTIONS');
  raw.close();
});

test('who was refused and does not hang up is cut off for the next who comes', async (t) => {
  const authenticate = ({ token }: { token: string | undefined }): boolean => token === 'right';
  const work = await overTcp(t, { handshakesMax: 1, authenticate });
  const raw = await RawNative.open({ port: work.server.port, host: '127.0.0.1' }, hello());
  assert.equal(await raw.goodbye(), 'REMOTE_UNAUTHENTICATED');
  assert.equal(work.server.getStats().pendingConnections, 1);
  await (await work.client({ token: 'right' })).ping();
  assert.equal(work.server.getStats().pendingConnections, 0);
  raw.close();
});

test('nobody is cut off while the server looks at his credentials: then it is the newcomer who must come again', async (t) => {
  const gate = deferred<string>();
  const bothAsked = deferred();
  let asked = 0;
  const authenticate = (): Promise<string> => {
    asked += 1;
    if (asked === 2) bothAsked.resolve();
    return gate.promise;
  };
  const work = await overTcp(t, { handshakesMax: 2, authenticate });
  const first = [work.client(), work.client()];
  // Who has connected and not yet said hello may be cut off.
  await bothAsked.promise;
  await ended(stream(work.server, hello()));
  assert.equal(work.server.getStats().connectionsRefused, 1);
  gate.resolve('somebody');
  for (const client of await Promise.all(first)) await client.ping();
});

test('TLS greetings that hang, and old clients, are counted as well', async (t) => {
  const pem = (name: string): Buffer => readFileSync(join('test', 'fixtures', name));
  const work = await overTcp(t, { handshakesMax: 2, tls: { key: pem('server.key'), cert: pem('server.pem') } });
  const hanging = [stream(work.server, Buffer.from('16030102000100', 'hex'))];
  await pending(work, 1);
  hanging.push(stream(work.server));
  await pending(work, 2);
  const client = await work.client({ tls: { ca: pem('ca.pem') } });
  await ended(hanging[0] as Socket);
  await client.ping();
  await pending(work, 1);
  hanging[1]?.destroy();
});

test('an old client that has shaken hands takes no place of those who have not', async (t) => {
  const work = await overTcp(t, { handshakesMax: 1 });
  const old = stream(work.server, oldFrame(bodyOf(JSON.parse(OLD_HELLO) as Record<string, unknown>)));
  await once(old, 'data');
  assert.equal(work.server.getStats().pendingConnections, 0);
  const silent = stream(work.server);
  await pending(work, 1);
  await (await work.client()).ping();
  await ended(silent);
  assert.equal(old.closed, false);
  old.destroy();
});

test('WebSockets of a user’s own HTTP server are held to the same', async (t) => {
  const work = await overTcp(t, { handshakesMax: 1 });
  const http = createServer().listen(0, '127.0.0.1');
  t.after(() => http.close());
  await once(http, 'listening');
  work.server.attach(http, { path: '/ipc' });
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ipc`;
  const silent = new WebSocket(url);
  await once(silent, 'open');
  await pending(work, 1);
  const closed = once(silent, 'close');
  const client = new WebSocket(url);
  await once(client, 'open');
  client.send(hello());
  await Promise.all([once(client, 'message'), closed]);
  client.close();
  await once(client, 'close');
  const flooding = new WebSocket(url);
  await once(flooding, 'open');
  flooding.send(Buffer.alloc(900 * 1024));
  assert.equal(((await once(flooding, 'close')) as [number])[0], 4106);
});
