// Hostile HTTP and WebSocket peers: they lose their own stream, and the process that serves them goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { FrameType } from '../../src/protocol/frame-types.ts';
import { atWork } from '../support/broker-at-work.ts';
import { frame, hello } from '../support/raw-native.ts';

const upgrade = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
  `sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

test('an upgrade of any path, however odd, does not harm the user’s own HTTP server', async (t) => {
  const work = await atWork(t, 'unix');
  const http = createServer((_request, response) => response.end('mine'));
  const detach = work.server.attach(http, { path: '/ipc' });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => http.close());
  // What we leave alone is the user's to answer.
  http.on('upgrade', (_request, socket) => socket.destroy());
  const { port } = http.address() as AddressInfo;
  for (const path of ['//', '//:99999', 'http://[', '/%zz', '*', '/ipcx']) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(upgrade(path));
    await new Promise((resolve) => socket.once('close', resolve));
  }
  detach();
});

test('a refused page that resets its connection does not harm the process', async (t) => {
  const work = await atWork(t, 'tcp', { host: '127.0.0.1' });
  for (let i = 0; i < 20; i += 1) {
    const socket = connect(work.server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(upgrade('/', 'origin: http://elsewhere\r\n'));
    socket.resetAndDestroy();
  }
  const client = await work.client();
  await client.ping();
});

for (const [title, data] of [
  ['a text message', 'hello'],
  ['a message of 40 MB', Buffer.alloc(40 * 1024 * 1024)],
] as const) {
  test(`${title} on a WebSocket ends that connection, and others go on`, async (t) => {
    const work = await atWork(t, 'websocket');
    const socket = new WebSocket(`ws://localhost:${work.server.port}`);
    socket.on('error', () => undefined);
    await once(socket, 'open');
    socket.send(hello());
    await once(socket, 'message');
    const left = once(work.server, 'disconnection');
    socket.send(data);
    const [code] = (await once(socket, 'close')) as [number];
    assert.ok([1003, 1006, 1009].includes(code), `closed with ${code}`);
    await left;
    await (await work.client()).ping();
  });
}

test('WebSocket pings whose pongs nobody reads do not pile up', async (t) => {
  const work = await atWork(t, 'tcp', { host: '127.0.0.1' });
  const socket = connect(work.server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(upgrade('/'));
  await once(socket, 'data');
  const masked = (opcode: number, payload: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
  socket.write(masked(2, hello()));
  await once(socket, 'data');
  socket.pause();
  const [connection] = work.server.connectionManager.listConnections();
  assert.ok(connection !== undefined);
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => masked(9, Buffer.alloc(100))));
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => socket.write(pings, resolve));
  // Behind all pings: what the server answers to it says that they were read.
  const answered = connection.bytesOut;
  socket.write(masked(2, frame({ type: FrameType.PING, id: 1 })));
  const other = await work.client();
  while (connection.bytesOut === answered) await other.ping();
  assert.ok(connection.waitingBytes < 1024 * 1024, `${connection.waitingBytes} bytes wait`);
  socket.destroy();
});
