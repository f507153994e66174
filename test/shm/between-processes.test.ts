// Channels between processes and threads: order, content, counts, and what a stopped or ended process does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel } from '../../src/shm/index.ts';
import { OrderCheck, readMessage, makeMessage } from './content.ts';
import { nothingLeft, Member, startMembers, uniqueName } from './processes.ts';

/** What these tests do cannot be done on Windows. */
const posixOnly = { skip: process.platform === 'win32' };

test('8 senders and 8 receivers: every message once, whole, in one order that all agree on', async () => {
  const name = uniqueName('eight');
  const options = { capacityBytes: 65_536 };
  const count = 300;
  const receivers = await startMembers(
    Array.from({ length: 8 }, () => ({ what: 'receive' as const, name, count: 8 * count, options })),
  );
  const senders = Array.from({ length: 8 }, (_, sender) => new Member({ what: 'send', name, sender, count, options }));
  await Promise.all(senders.map((member) => member.says('sent')));
  const digests = await Promise.all(receivers.map((member) => member.says('digest')));
  assert.equal(new Set(digests).size, 1);
  await Promise.all([...senders, ...receivers].map((member) => member.ended()));
  await nothingLeft(name);
});

test('one sender reaches 100 receivers', async () => {
  const name = uniqueName('hundred');
  const receivers = Array.from(
    { length: 100 },
    () => new IPCChannel(ChannelType.ROUTE, name, ConnMode.RECEIVER, { capacityBytes: 16_384 }),
  );
  const sender = new Member({ what: 'send', name, type: ChannelType.ROUTE, count: 500, sender: 3 });
  const digests = await Promise.all(
    receivers.map(async (receiver) => {
      const order = new OrderCheck();
      for (let i = 0; i < 500; i++) order.accept(readMessage(await receiver.receive({ timeoutMs: 60_000 })));
      return order.digest;
    }),
  );
  assert.equal(new Set(digests).size, 1);
  await sender.ended();
  for (const receiver of receivers) receiver.close();
  await nothingLeft(name);
});

test('messages of 0 bytes to 64 MiB go through a ring of 1 MiB', async () => {
  const name = uniqueName('sizes');
  const sizes = [16, 17, 4096, 262_128, 262_129, 1_048_576, 5_000_001, 67_108_864];
  using channel = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER);
  using sender = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER);
  await sender.send(new Uint8Array(0));
  assert.equal((await channel.receive()).length, 0);
  for (const [number, bytes] of sizes.entries()) {
    const message = makeMessage(1, number, bytes);
    const [received] = await Promise.all([channel.receive({ timeoutMs: 60_000 }), sender.send(message)]);
    assert.ok(received.equals(message), `${bytes} bytes`);
  }
});

test('a process that ends in the middle has sent what it awaited, and leaves nothing behind', async () => {
  const name = uniqueName('exit');
  using receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER);
  const member = new Member({ what: 'send-and-exit', name, count: 200 });
  for (let i = 0; i < 200; i++) assert.equal(readMessage(await receiver.receive({ timeoutMs: 60_000 })).number, i);
  await member.ended();
  assert.equal(receiver.getSenderCount(), 0);
  receiver.close();
  await nothingLeft(name);
});

test('a message and its answer cross two processes', async () => {
  const name = uniqueName('echo');
  const member = new Member({ what: 'echo', name });
  using channel = new IPCChannel(ChannelType.CHANNEL, name);
  assert.ok(await channel.waitForReceivers(2, { timeoutMs: 60_000 }));
  for (let i = 0; i < 200; i++) {
    await channel.send(makeMessage(1, i, 100));
    assert.equal(readMessage(await channel.receive({ timeoutMs: 60_000 })).number, i);
  }
  await member.end();
});

test('a stopped receiver is alive: the sender waits, and nothing is lost', posixOnly, async () => {
  const name = uniqueName('stopped');
  const options = { capacityBytes: 16_384 };
  const count = 1000;
  const [member] = await startMembers([{ what: 'receive', name, count, options }]);
  assert.ok(member);
  using sender = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER, options);
  await member.stop();
  let number = 0;
  const message = (): Buffer => makeMessage(1, number, 200);
  while (sender.trySend(message())) number++;
  assert.ok(number < count);
  await assert.rejects(sender.send(message(), { timeoutMs: 150 }), { code: 'TIME_OUT' });
  assert.equal(sender.getReceiverCount(), 1);
  member.child.kill('SIGCONT');
  for (; number < count; number++) await sender.send(message(), { timeoutMs: 60_000 });
  assert.equal(typeof (await member.says('digest')), 'number');
  await member.ended();
});

test('worker threads take part, each with its own handle', async () => {
  const { Worker } = await import('node:worker_threads');
  const name = uniqueName('workers');
  using receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER);
  const workers = [1, 2, 3].map(
    (sender) => new Worker(new URL('./sync-worker.js', import.meta.url), { workerData: { name, sender, count: 400 } }),
  );
  const order = new OrderCheck();
  for (let i = 0; i < 1200; i++) order.accept(readMessage(await receiver.receive({ timeoutMs: 60_000 })));
  const endless = new Worker(new URL('./sync-worker.js', import.meta.url), {
    workerData: { name, sender: 0, count: -1 },
  });
  assert.ok(await receiver.waitForReceivers(2, { timeoutMs: 60_000 }));
  await Promise.all([...workers, endless].map((worker) => worker.terminate()));
  assert.equal(receiver.getReceiverCount(), 1);
});
