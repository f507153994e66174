// Sizes at random, several senders and receivers at once, and messages far larger than the ring.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ChannelType, ConnMode, IPCChannel } from '../../src/shm/index.ts';
import { makeMessage, readMessage } from './content.ts';
import { Member, nothingLeft, startMembers, uniqueName } from './processes.ts';

const MIB = 2 ** 20;
/** The long run: a gigabyte through a ring of a megabyte, checked byte by byte, needs minutes and 5 GB. */
const LONG = process.env['ISTHMUS_LONG'] === '1';

test('sizes of 16 bytes to 64 MiB at random, from two senders at once: both receivers get all, in one order', async (t) => {
  const name = uniqueName('random');
  const seed = Math.trunc(Math.random() * 1000);
  t.diagnostic(`seed ${seed}`);
  const options = { capacityBytes: MIB };
  const count = 12;
  const receivers = await startMembers(
    [1, 2].map(() => ({ what: 'receive' as const, name, count: 2 * count, options })),
  );
  const senders = [seed, seed + 1].map(
    (sender) => new Member({ what: 'send', name, sender, count, sizes: { from: 16, to: 64 * MIB }, options }),
  );
  const digests = await Promise.all(receivers.map((member) => member.says('digest')));
  assert.equal(typeof digests[0], 'number');
  assert.equal(digests[0], digests[1]);
  await Promise.all([...senders, ...receivers].map((member) => member.ended()));
  await nothingLeft(name);
});

test('a message of more than 1 GiB is refused before anything of it is sent', async (t) => {
  const channel = new IPCChannel(ChannelType.CHANNEL, uniqueName('huge'), ConnMode.BOTH, { echo: true });
  t.after(() => channel.close());
  // Never touched, so it takes no memory.
  const huge = Buffer.allocUnsafeSlow(2 ** 30 + 1);
  assert.throws(() => channel.trySend(huge), { code: 'LIMIT_MESSAGE_BYTES' });
  assert.throws(() => channel.sendSync(huge), { code: 'LIMIT_MESSAGE_BYTES' });
  await assert.rejects(channel.send(huge), { code: 'LIMIT_MESSAGE_BYTES' });
  assert.throws(() => channel.loan(2 ** 30 + 1), { code: 'USAGE_INVALID_OPTION' });
  // All at once and larger than the ring: cannot be tried, only sent.
  assert.throws(() => channel.trySend(Buffer.alloc(2 * MIB)), { code: 'LIMIT_MESSAGE_BYTES' });
  assert.equal(channel.tryReceive(), null);
});

if (LONG) {
  test('a message of 1 GiB goes through a ring of 1 MiB', { timeout: 900_000 }, async (t) => {
    const name = uniqueName('gigabyte');
    const receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER);
    t.after(() => receiver.close());
    const member = new Member({ what: 'send', name, sender: 1, count: 1, sizes: { from: 2 ** 30, to: 2 ** 30 } });
    assert.deepEqual(readMessage(await receiver.receive()), { sender: 1, number: 0 });
    await member.ended();
  });
}

test('a worker that is terminated while it blocks, receiving or sending, leaves the channel to the others', async (t) => {
  const name = uniqueName('terminate');
  const options = { capacityBytes: 4096 };
  const receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER, options);
  const sender = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER);
  t.after(() => (receiver.close(), sender.close()));
  // Nobody takes what it sends: it fills the ring and blocks.
  const worker = (sends: number, number: number): Worker =>
    new Worker(new URL('./sync-worker.js', import.meta.url), { workerData: { name, sender: number, count: sends } });
  const blocked = worker(1_000_000, 1);
  while (receiver.peers().every((peer) => peer.lagBytes < 2000)) await new Promise((resolve) => setTimeout(resolve, 5));
  await blocked.terminate();
  assert.equal(receiver.getSenderCount(), 1);
  let number = -1;
  for (let data = receiver.tryReceive(); data; data = receiver.tryReceive()) {
    const seen = readMessage(data);
    assert.deepEqual(seen, { sender: 1, number: ++number });
  }
  const waiting = worker(-1, 0);
  assert.ok(await sender.waitForReceivers(2, { timeoutMs: 60_000 }));
  await waiting.terminate();
  assert.equal(sender.getReceiverCount(), 1);
  for (let i = 0; i < 100; i++) {
    await sender.send(makeMessage(2, i, 500), { timeoutMs: 60_000 });
    assert.deepEqual(readMessage(await receiver.receive({ timeoutMs: 60_000 })), { sender: 2, number: i });
  }
});
