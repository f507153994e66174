// A thousand connections that never say hello: who has something to say is served as if they were not there,
// and they are shown out when their time is over.

import assert from 'node:assert/strict';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { IPCServer } from '../../src/server/index.ts';
import { atWork, type TestTransport } from '../support/broker-at-work.ts';
import { hello } from '../support/raw-native.ts';
import { socketPath } from '../support/socket-path.ts';

const CROWD = 1000;

/** What they say before they fall silent. */
const OPENINGS: readonly Buffer[] = [
  Buffer.alloc(0),
  Buffer.from([0]),
  hello().subarray(0, 30),
  Buffer.from('{'),
  Buffer.from('GET / HTTP/1.1\r\n'),
];

/** Resolves when all of them are connected. */
async function crowd(
  t: TestContext,
  target: NetConnectOpts,
): Promise<readonly { socket: Socket; closed: Promise<void> }[]> {
  const all: { socket: Socket; closed: Promise<void> }[] = [];
  for (let i = 0; i < CROWD; i += 1) {
    const socket = connect(target);
    // One that is cut off with something unread ends abruptly.
    socket.on('error', () => undefined);
    socket.resume();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(OPENINGS[i % OPENINGS.length] as Buffer);
    all.push({ socket, closed });
  }
  t.after(() => {
    for (const { socket } of all) socket.destroy();
  });
  return all;
}

for (const transport of ['tcp', 'unix'] satisfies TestTransport[]) {
  test(`${transport}: a thousand who say no hello take no place, and are shown out in time`, async (t) => {
    const work = await atWork(t, transport, {
      ...(transport === 'tcp' && { host: '127.0.0.1' }),
      maxConnections: 3,
      handshakeTimeoutMs: 3000,
    });
    work.app.createChannel('echo').setHandler('request', ({ payload }) => payload);
    const address = transport === 'tcp' ? { host: '127.0.0.1' } : {};
    const before = await work.client(address);
    const all = await crowd(t, { host: '127.0.0.1', ...work.address } as NetConnectOpts);
    const after = await work.client(address);
    assert.equal(await before.call('echo', 1), 1);
    assert.equal(await after.call('echo', 2), 2);
    assert.equal(work.server.getStats().totalConnections, 2);
    await Promise.all(all.map(({ closed }) => closed));
    assert.equal((await work.client(address)).connected, true);
  });
}

test('a server stops while a thousand say no hello', async (t) => {
  const { path, remove } = socketPath();
  t.after(remove);
  const server = new IPCServer({ path, handshakeTimeoutMs: 600_000 });
  await server.start();
  const all = await crowd(t, { path });
  await server.stop();
  await Promise.all(all.map(({ closed }) => closed));
});
