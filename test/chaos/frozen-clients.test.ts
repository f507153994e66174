// Clients whose process is stopped with SIGSTOP: alive for the system, silent for the server. What happens to
// what is meant for them is what their policy says, and they are given up when the heartbeat says so.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import type { IPCClient, IPCError, SubscribeOptions } from '../../src/client/index.ts';
import type { ServerConnection } from '../../src/server/index.ts';
import { type AtWork, atWork, withCode } from '../support/broker-at-work.ts';
import { Actor } from './actors.ts';
import type { ClientOrder } from './orders.ts';

const skip = process.platform === 'win32' ? 'signals stop no process here' : false;
const FILL = 'x'.repeat(4000);
/** Three of them are more than a busy machine leaves a process without its turn. */
const HEARTBEAT_MS = 500;

function subscriber(
  t: TestContext,
  work: AtWork,
  expected: number,
  options: Omit<SubscribeOptions, 'signal'>,
  client: ClientOrder = {},
): Actor {
  const order = { pattern: 'feed', options, slownessMs: 0, expected, tag: 'frozen' };
  return new Actor(t, { role: 'subscriber', client: { ...(work.address as ClientOrder), ...client }, ...order });
}

/** Publishes from `n` on until the publisher is held up, and gives the next number. */
async function untilHeldUp(publisher: IPCClient, n: number): Promise<number> {
  for (;;) {
    while (publisher.tryPublish('feed', { n, fill: FILL })) n += 1;
    // Credit that was on its way has come when a ping is answered.
    await publisher.ping(0);
    if (!publisher.tryPublish('feed', { n, fill: FILL })) return n;
    n += 1;
  }
}

test('block: who is stopped slows the publisher and loses nothing; woken, it gets everything in order', {
  skip,
}, async (t) => {
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 64 * 1024 } });
  const [publisher, other] = [await work.client(), await work.client()];
  const total = 2000;
  const frozen = subscriber(t, work, total, { policy: 'block', creditBytes: 256 * 1024 });
  await frozen.says('ready');
  let n = 0;
  for (; n < 50; n += 1) await publisher.publishConfirmed('feed', { n });
  await frozen.freeze();
  n = await untilHeldUp(publisher, n);
  assert.ok(n < total, `${n} messages were taken without anybody reading them`);
  assert.equal(await other.publishConfirmed('elsewhere', 1), 0);
  frozen.thaw();
  for (; n < total; n += 1) {
    await publisher.publishReady('feed');
    publisher.publish('feed', { n });
  }
  assert.deepEqual(
    await frozen.says('seen'),
    Array.from({ length: total }, (_, i) => i),
  );
  assert.equal(await frozen.says('lost'), 0);
  frozen.tell('finish');
  assert.equal(await frozen.ended(), 'exit 0');
});

for (const policy of ['drop-oldest', 'drop-newest', 'latest-only'] as const) {
  test(`${policy}: who is stopped holds nobody up, and is told exactly how many messages it missed`, {
    skip,
  }, async (t) => {
    const work = await atWork(t);
    const publisher = await work.client();
    const total = 1000;
    const frozen = subscriber(t, work, total, { policy, creditBytes: 128 * 1024, outboxBytesMax: 64 * 1024 });
    await frozen.says('ready');
    await frozen.freeze();
    for (let n = 0; n < total; n += 1) await publisher.publishConfirmed('feed', { n, fill: FILL }, { timeout: 0 });
    frozen.thaw();
    const seen = await frozen.says('seen');
    const lost = await frozen.says('lost');
    assert.ok(lost > 0, 'nothing was lost: the test proves nothing');
    assert.equal(seen.length + lost, total);
    for (const [i, n] of seen.entries()) assert.ok(i === 0 || n > (seen[i - 1] as number), `${n} came twice or late`);
    if (policy === 'drop-newest') assert.equal(seen[0], 0);
    else assert.equal(seen.at(-1), total - 1);
    frozen.tell('finish');
    assert.equal(await frozen.ended(), 'exit 0');
  });
}

test('who is stopped is given up after three heartbeats, not before; woken, it comes back and hears again', {
  skip,
}, async (t) => {
  const work = await atWork(t, 'unix', { heartbeatIntervalMs: HEARTBEAT_MS });
  const frozen = subscriber(t, work, 1, { policy: 'block' }, { reconnect: true, reconnectDelay: 1 });
  await frozen.says('ready');
  const publisher = await work.client();
  const watcher = await work.client();
  const leaving = (await watcher.subscribe('$presence')).next();
  const left = once(work.server, 'disconnection') as Promise<[ServerConnection, IPCError]>;
  const connection = work.server.connectionManager.listConnections().find(({ name }) => name === 'frozen');
  const lives = (): number => frozen.events.filter(({ connectionId }) => connectionId !== undefined).length;
  const before = lives();
  await frozen.freeze();
  const { value: news } = await leaving;
  assert.equal((news?.payload as { readonly event: string } | undefined)?.event, 'leave');
  // Only a lower bound can be held whatever the machine does.
  const silentMs = Date.now() - (connection?.lastActivity ?? Date.now());
  assert.ok(silentMs >= 3 * HEARTBEAT_MS, `given up after ${silentMs} ms`);
  assert.equal(await publisher.publishConfirmed('feed', { n: 0 }), 0);
  frozen.thaw();
  const [gone, reason] = await left;
  assert.equal(gone, connection);
  assert.equal(reason.code, 'PEER_SILENT');
  await frozen.until(() => lives() > before);
  // It is subscribed a moment after it is back; until then nobody hears.
  while ((await publisher.publishConfirmed('feed', { n: 1 })) === 0);
  assert.deepEqual(await frozen.says('seen'), [1]);
  frozen.tell('finish');
  assert.equal(await frozen.ended(), 'exit 0');
});

test('a request that a stopped worker holds ends with its time-out, or when the worker is given up', {
  skip,
}, async (t) => {
  const work = await atWork(t, 'unix', { heartbeatIntervalMs: HEARTBEAT_MS });
  const worker = new Actor(t, { role: 'worker', tag: 'frozen', client: { ...(work.address as ClientOrder) } });
  await worker.says('ready');
  const client = await work.client();
  assert.equal(await client.call('double', 1, { timeout: 0 }), 2);
  await worker.freeze();
  const patient = assert.rejects(client.call('double', 2, { timeout: 0 }), withCode('REMOTE_LOST'));
  await assert.rejects(client.call('double', 3, { timeout: 20 }), withCode('TIME_OUT'));
  await patient;
  await assert.rejects(client.call('double', 4), withCode('REMOTE_NO_HANDLER'));
});
