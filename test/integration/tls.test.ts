// TLS and mutual TLS: who is at the other end is proven, and one port serves WebSockets over TLS too.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ServerOptions } from '../../src/server/index.ts';
import { IPCClient, type ClientOptions } from '../../src/client/index.ts';
import { IPCServer } from '../../src/server/index.ts';
import { withCode } from '../support/broker-at-work.ts';

const pem = (name: string): Buffer => readFileSync(join('test', 'fixtures', name));
const identity = (who: string) => ({ key: pem(`${who}.key`), cert: pem(`${who}.pem`) });
const ca = pem('ca.pem');

async function withServer(options: ServerOptions, run: (server: IPCServer) => Promise<void>): Promise<void> {
  const server = new IPCServer({ port: 0, ...options });
  server
    .createApplication('test')
    .createChannel('echo')
    .setHandler('request', (message) => message.payload);
  await server.start();
  try {
    await run(server);
  } finally {
    await server.stop();
  }
}

async function connected<T>(options: ClientOptions, run: (client: IPCClient) => Promise<T>): Promise<T> {
  const client = new IPCClient('test', { reconnect: false, ...options });
  try {
    await client.connect();
    return await run(client);
  } finally {
    await client.disconnect();
  }
}

test('a client that knows the authority talks over TLS, natively and by WebSocket on the same port', async () => {
  await withServer({ tls: identity('server') }, async (server) => {
    assert.match(server.listening[0] as string, /^tls:/);
    const bytes = Buffer.alloc(2 << 20, 'tls');
    for (const options of [
      { port: server.port, tls: { ca } },
      { url: `wss://localhost:${server.port}`, tls: { ca } },
    ]) {
      await connected(options, async (client) => {
        assert.ok(bytes.equals((await client.call('echo', bytes)) as Buffer));
      });
    }
  });
});

test('a server that the client’s authorities do not vouch for is refused by the client', async () => {
  await withServer({ tls: identity('server') }, async (server) => {
    const stranger = connected({ port: server.port, tls: true }, async () => undefined);
    await assert.rejects(stranger, withCode('NETWORK_CONNECT_FAILED'));
  });
});

test('mutual TLS: the certificate’s name reaches authentication, and whoever has none stays out', async () => {
  const seen: (string | undefined)[] = [];
  const options: ServerOptions = {
    tls: { ...identity('server'), ca, requestCert: true, rejectUnauthorized: true },
    authenticate: ({ address }) => {
      seen.push(address.certificateSubject);
      return { user: address.certificateSubject };
    },
  };
  await withServer(options, async (server) => {
    await connected({ port: server.port, tls: { ca, ...identity('client') } }, async (client) => {
      assert.equal(await client.call('echo', 'in'), 'in');
    });
    await assert.rejects(connected({ port: server.port, tls: { ca } }, async () => undefined));
    assert.deepEqual(seen, ['ada']);
  });
});

test('mutual TLS is authentication enough to listen beyond localhost; TLS alone is not', async () => {
  const tls = { ...identity('server'), ca, requestCert: true };
  await new IPCServer({ host: '0.0.0.0', tls }).stop();
  for (const weak of [identity('server'), { ...tls, rejectUnauthorized: false }]) {
    assert.throws(() => new IPCServer({ host: '0.0.0.0', tls: weak }), withCode('USAGE_INSECURE'));
  }
});

test('a plain client on a TLS port is hung up on, and others go on', async () => {
  await withServer({ tls: identity('server') }, async (server) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('\0\0\0\x10 this is not TLS');
    await once(socket, 'close');
    await connected({ port: server.port, tls: { ca } }, async (client) => {
      assert.equal(await client.call('echo', 1), 1);
    });
  });
});
