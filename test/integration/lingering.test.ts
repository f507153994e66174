// Who is shown out and does not go, or never comes in all the way: he keeps no place, no subscription and no
// server from stopping.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FrameType } from '../../src/protocol/frame-types.ts';
import { IPCServer } from '../../src/server/index.ts';
import { bodyOf, framed as oldFrame, HELLO } from '../interop/old-wire.ts';
import { atWork, deferred, withCode } from '../support/broker-at-work.ts';
import { declare, frame, hello, json, RawNative } from '../support/raw-native.ts';

const subscribe = frame({ type: FrameType.SUBSCRIBE, id: 1, payload: json({ pattern: 'news' }) });

test('a silent client is told so and is gone, though its side of the socket never ends', async (t) => {
  const work = await atWork(t, 'unix', { heartbeatIntervalMs: 40, handshakeTimeoutMs: 1000 });
  const left = once(work.server, 'disconnection');
  const raw = await RawNative.join(work, subscribe);
  t.after(() => raw.close());
  assert.equal(await raw.goodbye(), 'PEER_SILENT');
  await left;
  assert.equal(work.app.getChannel('news')?.receivers.length ?? 0, 0);
});

test('a client whose kernel takes nothing more is gone after three heartbeats, and its outbox with it', async (t) => {
  const work = await atWork(t, 'unix', { heartbeatIntervalMs: 400, handshakeTimeoutMs: 1000 });
  const left = once(work.server, 'disconnection');
  const raw = await RawNative.join(work, subscribe);
  t.after(() => raw.close());
  await raw.next(FrameType.OK);
  raw.socket.pause();
  const channel = work.app.getChannel('news');
  assert.ok(channel !== undefined);
  let published = channel.publish(Buffer.alloc(100_000));
  while (!published.blocked) {
    assert.equal(published.receivers, 1, 'given up before it was given anything');
    published = channel.publish(Buffer.alloc(100_000));
  }
  const [connection] = work.server.connectionManager.listConnections();
  assert.ok((connection?.outboxBytes ?? 0) > 0);
  await left;
  await published.ready();
  assert.equal(channel.publish('free again').blocked, false);
});

test('a server that stood still hears who spoke in time, of whatever protocol, before it gives anybody up', async (t) => {
  const handshakeTimeoutMs = 100;
  const upgrade = Buffer.from(
    'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  for (const [first, connections] of [
    [hello(), 1],
    [oldFrame(HELLO), 1],
    [upgrade, 0],
  ] as const) {
    const work = await atWork(t, 'unix', { handshakeTimeoutMs });
    const socket = connect(work.address as NetConnectOpts);
    t.after(() => socket.destroy());
    socket.write(first.subarray(0, 2));
    while (work.server.getStats().pendingConnections === 0) await new Promise(setImmediate);
    socket.write(first.subarray(2));
    for (const end = performance.now() + 2 * handshakeTimeoutMs; performance.now() < end; );
    await once(socket, 'data');
    assert.equal(work.server.getStats().totalConnections, connections);
    socket.destroy();
  }
});

test('a refused client that does not hang up is cut off', async (t) => {
  const refuse = { authenticate: () => false, handshakeTimeoutMs: 500 };
  const work = await atWork(t, 'unix', refuse);
  const raw = await RawNative.open(work.address as NetConnectOpts, hello());
  assert.equal(await raw.goodbye(), 'REMOTE_UNAUTHENTICATED');
  const old = connect({ ...(work.address as { path: string }), allowHalfOpen: true });
  old.on('error', () => undefined);
  old.resume();
  old.write(oldFrame(HELLO));
  // Both write until the server's end is really gone: a half-closed one would take it.
  for (const socket of [raw.socket, old]) {
    const writing = setInterval(() => socket.write('x'), 10);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(writing);
  }
});

const HANGING: Readonly<Record<string, Buffer>> = {
  'says nothing': Buffer.alloc(0),
  'sends half a length': Buffer.from([0]),
  'sends half a hello': hello().subarray(0, 20),
  'sends half an old hello': oldFrame(bodyOf({})).subarray(0, 20),
  'sends half an HTTP request': Buffer.from('GET / HTTP/1.1\r\nhost: x\r\nx-slow: '),
};

for (const [title, bytes] of Object.entries(HANGING)) {
  test(`a stream that ${title} is ended when the time for the handshake is over`, async (t) => {
    const work = await atWork(t, 'unix', { handshakeTimeoutMs: 50 });
    const socket = connect(work.address as NetConnectOpts);
    // Bytes that the server has not read when it ends the stream make it an abrupt end.
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));
  });

  test(`a stream that ${title} does not keep the server from stopping`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
    const path = join(folder, 's');
    const server = new IPCServer({ path, handshakeTimeoutMs: 600_000 });
    await server.start();
    const socket = connect({ path, allowHalfOpen: true });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const other = connect({ path });
    socket.write(bytes);
    // When a later client has been answered, the server has read what came before.
    other.write(hello());
    await once(other, 'data');
    await server.stop();
    socket.destroy();
    other.destroy();
    rmSync(folder, { recursive: true });
  });
}

test('a TLS greeting that never ends is ended in time, and does not keep the server from stopping', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  execFileSync('openssl', [...args, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const tls = { key: readFileSync(key), cert: readFileSync(cert) };
  const greeting = Buffer.from('16030102000100', 'hex');
  const quick = new IPCServer({ host: '127.0.0.1', port: 0, tls, handshakeTimeoutMs: 50 });
  await quick.start();
  const slow = connect(quick.port, '127.0.0.1');
  slow.on('error', () => undefined);
  slow.resume();
  slow.write(greeting);
  await new Promise((resolve) => slow.once('close', resolve));
  await quick.stop();
  const patient = new IPCServer({ host: '127.0.0.1', port: 0, tls, handshakeTimeoutMs: 600_000 });
  await patient.start();
  const socket = connect(patient.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(greeting);
  await patient.stop();
  socket.destroy();
});

test('who has said goodbye is gone for the others at once, though its socket stays', async (t) => {
  const work = await atWork(t, 'unix', { handshakeTimeoutMs: 600_000 });
  const other = await work.client();
  const raw = await RawNative.join(
    work,
    subscribe,
    frame({ type: FrameType.SERVE, id: 2, payload: json({ channel: 'work' }) }),
  );
  t.after(() => raw.close());
  await raw.next(FrameType.OK);
  await raw.next(FrameType.OK);
  const asked = other.call('work', 'taken before');
  await raw.next(FrameType.REQUEST);
  raw.send(frame({ type: FrameType.GOODBYE }));
  await assert.rejects(asked, withCode('REMOTE_LOST'));
  await assert.rejects(other.call('work', 'asked after'), withCode('REMOTE_NO_HANDLER'));
  assert.equal(await other.publishConfirmed('news', 'nobody hears it'), 0);
  assert.equal(work.app.presence.size, 1);
  assert.equal(work.server.broadcastToApplication('test', { channelId: 'a', payload: 'for who is there' }), 1);
  // Its place is taken as long as its socket is.
  assert.equal(work.server.getStats().totalConnections, 2);
});

test('credentials that are accepted when the time for the handshake is over let nobody in', async (t) => {
  const accepted = deferred<boolean>();
  const work = await atWork(t, 'unix', { authenticate: () => accepted.promise, handshakeTimeoutMs: 1000 });
  const raw = await RawNative.open(work.address as NetConnectOpts, hello());
  t.after(() => raw.close());
  assert.equal(await raw.goodbye(), 'PEER_HANDSHAKE_TIMEOUT');
  accepted.resolve(true);
  await work.client();
  assert.equal(work.server.getStats().totalConnections, 1);
  assert.equal(work.app.presence.size, 1);
});

test('a client that answers the server’s goodbye with silence does not hold up stop', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  const path = join(folder, 's');
  const server = new IPCServer({ path });
  await server.start();
  const raw = await RawNative.open({ path }, hello(), declare(1, 'a'));
  await raw.next(FrameType.WELCOME);
  const [first, second] = [server.stop(), server.stop()];
  assert.equal(first, second);
  assert.equal(await raw.goodbye(), 'REMOTE_DRAINING');
  await first;
  assert.equal(server.getStats().totalConnections, 0);
  raw.close();
  rmSync(folder, { recursive: true });
});
