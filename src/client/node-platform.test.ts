// What the system does with a connection that was asked for.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { streamWire } from './node-platform.ts';

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
