// Where a server listens, who may come in, and what is said when it cannot be.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, get, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { IPCClient } from '../../src/client/index.ts';
import { IPCServer, type ServerOptions } from '../../src/server/index.ts';
import { atWork, withCode } from '../support/broker-at-work.ts';
import { endsWithUs } from '../support/child-process.ts';

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function listening(t: TestContext, server: Server): Promise<AddressInfo> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => new Promise((resolve) => server.close(resolve)));
  return server.address() as AddressInfo;
}

test('a port in use is a typed error, and the server can be started once it is free', async (t) => {
  const other = createServer();
  const { port } = await listening(t, other);
  const server = new IPCServer({ host: '127.0.0.1', port });
  t.after(() => server.stop());
  await assert.rejects(server.start(), withCode('NETWORK_PORT_IN_USE'));
  assert.equal(server.running, false);
  await new Promise((resolve) => other.close(resolve));
  await server.start();
  assert.equal(server.running, true);
});

test('several addresses at once: all or none', async (t) => {
  const { port } = await listening(t, createServer());
  const folder = folderFor(t);
  const path = join(folder, 's');
  const failing = new IPCServer({ listen: [{ path }, { host: '127.0.0.1', port }] });
  await assert.rejects(failing.start(), withCode('NETWORK_PORT_IN_USE'));
  await failing.stop();
  const server = new IPCServer({ listen: [{ path }, { port: 0 }] });
  t.after(() => server.stop());
  await server.start();
  assert.equal(server.listening.length, 2);
  for (const address of [{ path }, { port: server.port }]) {
    await using client = new IPCClient('test', address);
    await client.connect();
    assert.equal(typeof (await client.ping()), 'number');
  }
});

test('start and stop are idempotent, and a stopped server says so', async () => {
  const server = new IPCServer({ port: 0 });
  assert.equal(server.start(), server.start());
  await server.start();
  await server.stop();
  await server.stop();
  await assert.rejects(server.start(), withCode('USAGE_CLOSED'));
});

test('a Unix socket is the owner’s alone, and gone after stop', async (t) => {
  const path = join(folderFor(t), 'deep', 'er', 's');
  const server = new IPCServer({ path });
  await server.start();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  await server.stop();
  assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

test('a socket path longer than the system takes is refused, not truncated', async (t) => {
  const path = join(folderFor(t), 'x'.repeat(108));
  const server = new IPCServer({ path });
  await assert.rejects(server.start(), withCode('NETWORK_PATH_TOO_LONG'));
  await server.stop();
});

test('a socket of a live server is not taken; that of a dead one is; a file that is no socket is not', async (t) => {
  const folder = folderFor(t);
  const path = join(folder, 's');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const holder = endsWithUs(spawn(process.execPath, ['-e', script]));
  await once(holder.stdout, 'data');
  const server = new IPCServer({ path });
  t.after(() => server.stop());
  await assert.rejects(server.start(), withCode('NETWORK_PATH_OCCUPIED'));
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  assert.ok(statSync(path).isSocket());
  await server.start();
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  const other = new IPCServer({ path: file });
  await assert.rejects(other.start(), withCode('NETWORK_PATH_OCCUPIED'));
  await other.stop();
});

test('beyond localhost a server wants authentication, or to be told that it is insecure', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    assert.throws(() => new IPCServer({ host }), withCode('USAGE_INSECURE'));
  }
  for (const options of [
    { host: '0.0.0.0', insecure: true },
    { host: '0.0.0.0', authenticate: () => true },
    { host: '127.0.0.1' },
  ]) {
    await new IPCServer(options).stop();
  }
});

test('a wrong option is thrown at once, naming option, value and range', () => {
  const wrong: readonly (readonly [ServerOptions, string])[] = [
    [{ port: 65_536 }, 'port'],
    [{ maxConnections: 0 }, 'maxConnections'],
    [{ heartbeatIntervalMs: -1 }, 'heartbeatIntervalMs'],
    [{ limits: { messageBytesMax: 5 } }, 'limits.messageBytesMax'],
    [{ listen: [{ path: '' }] }, 'listen[0].path'],
    [{ prot: 1 } as unknown as ServerOptions, 'server.prot'],
  ];
  for (const [options, name] of wrong) {
    assert.throws(
      () => new IPCServer(options),
      (error: unknown) =>
        withCode('USAGE_INVALID_OPTION')(error) && (error as Error).message.includes(`option ${name}`),
    );
  }
});

function openWebSocket(url: string, origin?: string): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, origin === undefined ? {} : { origin });
    socket.on('open', () => socket.close());
    socket.on('close', () => resolve(101));
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', () => undefined);
  });
}

test('a page of another origin may not open a WebSocket; of the same or a listed one it may', async (t) => {
  const { server } = await atWork(t, 'tcp');
  const url = `ws://localhost:${server.port}`;
  assert.equal(await openWebSocket(url, 'http://evil.example'), 403);
  assert.equal(await openWebSocket(url, `http://localhost:${server.port}`), 101);
  assert.equal(await openWebSocket(url, 'not a url'), 403);
  assert.equal(await openWebSocket(url), 101);
  const listed = await atWork(t, 'tcp', { origins: ['https://app.example'] });
  const other = `ws://localhost:${listed.server.port}`;
  assert.equal(await openWebSocket(other, 'https://app.example'), 101);
  assert.equal(await openWebSocket(other, `http://localhost:${listed.server.port}`), 403);
});

test('the port tells a person with a browser what it is', async (t) => {
  const { server } = await atWork(t, 'tcp');
  const [response] = (await once(get(`http://localhost:${server.port}/`), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 426);
  let text = '';
  for await (const chunk of response) text += String(chunk);
  assert.match(text, /WebSocket/);
});

test('a user’s own HTTP server takes clients on one path, and is left alone after detach', async (t) => {
  const http = createHttpServer((_request, response) => response.end('mine'));
  const { port } = await listening(t, http);
  const { server, app } = await atWork(t, 'unix');
  app.createChannel('echo').setHandler('request', (message) => message.payload);
  const detach = server.attach(http, { path: '/bus' });
  await using client = new IPCClient('test', { url: `ws://127.0.0.1:${port}/bus`, reconnect: false });
  await client.connect();
  assert.equal(await client.call('echo', 1), 1);
  await client.disconnect();
  detach();
  assert.equal(http.listenerCount('upgrade'), 0);
  http.closeAllConnections();
});
