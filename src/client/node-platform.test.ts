// What the system does with a connection that was asked for.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { nodePlatform, streamWire } from './node-platform.ts';

test('a client that the system has connected to itself was refused: nobody listens there', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const host = '127.0.0.1';
  // What happens to one in thirty thousand by itself.
  const socket = connect({ host, port, localAddress: host, localPort: port });
  await assert.rejects(streamWire(socket, 'connect', { kind: 'tcp', host, port }, new AbortController().signal), {
    code: 'NETWORK_CONNECT_FAILED',
    retry: true,
    message: /nobody listens there/,
  });
  assert.equal(socket.destroyed, true);
});

for (const kind of ['tcp', 'websocket'] as const) {
  test(`${kind}: a process that stands still for a while does not give up the address at which somebody listens`, async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    if (kind === 'websocket') {
      const sockets = new WebSocketServer({ noServer: true });
      const http = createHttpServer().on('upgrade', (request, socket, head) =>
        sockets.handleUpgrade(request, socket, head, () => undefined),
      );
      server.on('connection', (socket) => http.emit('connection', socket));
    }
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const lookup = (...args: unknown[]): void => {
      setImmediate(() => {
        const found = [
          { address: '127.0.0.1', family: 4 },
          { address: '::1', family: 6 },
        ];
        (args.at(-1) as (error: null, all: typeof found) => void)(null, found);
        // The attempt is under way.
        for (const end = performance.now() + 600; performance.now() < end; );
      });
    };
    t.mock.method(dns, 'lookup', lookup as typeof dns.lookup);
    const { signal } = new AbortController();
    const wire = await nodePlatform.connect(
      kind === 'tcp' ? { kind, host: 'localhost', port } : { kind, url: `ws://localhost:${port}`, tls: {} },
      signal,
    );
    wire.open({ data: () => undefined, drain: () => undefined, close: () => undefined });
    wire.destroy();
  });
}

test('where the process looks late, what had arrived by then is read before a time is over', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[far]] = await Promise.all([accepted, once(near, 'connect')]);
  t.after(() => (near.destroy(), far.destroy()));
  const order: string[] = [];
  near.on('data', () => order.push('answer'));
  far.write('answer');
  const over = new Promise<void>((resolve) => {
    nodePlatform.setTimer(1, () => (order.push('over'), resolve()), true);
  });
  for (const end = performance.now() + 20; performance.now() < end; );
  await over;
  assert.deepEqual(order, ['answer', 'over']);
});
