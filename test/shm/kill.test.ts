// Members of a channel are killed with SIGKILL; the survivors must lose nothing and nothing may be left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChannelType, ConnMode, IPCChannel, list, type Peer } from '../../src/shm/index.ts';
import { makeMessage, OrderCheck, readMessage } from './content.ts';
import { leftovers, Member, nothingLeft, startMembers, uniqueName } from './processes.ts';
import type { MemberTask } from './member.ts';

/** More in the long run; the ring itself is killed far more often by the tests of native/test. */
const KILLS = Number(process.env['ISTHMUS_KILLS'] ?? 200);

test('senders and receivers are killed at random moments, and the survivors lose nothing', async () => {
  const name = uniqueName('kill');
  const options = { capacityBytes: 65_536 };
  const receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER, options);
  const sender = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER, options);
  const order = new OrderCheck();
  const received = { own: 0, others: 0 };
  let failure: Error | undefined;
  receiver.onMessage((data, { missed }) => {
    try {
      assert.equal(missed, 0);
      const seen = readMessage(data);
      order.accept(seen);
      if (seen.sender === 0) received.own++;
      else received.others++;
    } catch (error) {
      failure ??= error instanceof Error ? error : new Error(String(error));
    }
  });
  let next = 1;
  const task = (index: number): MemberTask =>
    index % 2 === 0
      ? { what: 'send-forever', name, sender: next++, maxBytes: index === 0 ? 400 : 60_000, options }
      : { what: 'receive-forever', name, options };
  const members = await startMembers([0, 1, 2, 3].map(task));
  let sent = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const index = kill % members.length;
    await sleep(Math.random() * 20);
    await members[index]?.end();
    // Forty messages must pass without waiting for anybody to be started again.
    for (let i = 0; i < 40; i++) await sender.send(makeMessage(0, sent++, 100), { timeoutMs: 60_000 });
    if (kill + 1 < KILLS) members[index] = new Member(task(index));
    if (failure) throw failure;
  }
  await Promise.all(members.map((member) => member.end()));
  for (const wanted = sent; received.own < wanted; ) await sleep(5);
  if (failure) throw failure;
  assert.equal(received.own, sent);
  assert.ok(received.others > 0);
  assert.equal(receiver.getReceiverCount(), 1);
  assert.equal(receiver.getSenderCount(), 1);
  receiver.close();
  sender.close();
  await nothingLeft(name);
});

test('a receiver that was killed is gone from the counts, and its death is an event', async () => {
  const name = uniqueName('death');
  using channel = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER);
  const joined = new Promise<Peer>((resolve) => channel.once('join', resolve));
  const died = new Promise<Peer>((resolve) => channel.once('death', resolve));
  const member = new Member({ what: 'hold', name, options: { peerName: 'victim' } });
  // Presence alone keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    const peer = await joined;
    assert.equal(peer.pid, member.child.pid);
    assert.equal(peer.name, 'victim');
    assert.equal(channel.getReceiverCount(), 1);
    await member.end();
    assert.equal(channel.getReceiverCount(), 0);
    assert.equal((await died).id, peer.id);
  } finally {
    clearInterval(alive);
  }
});

test('a killed producer leaves its route free, and a killed receiver does not block', async () => {
  const name = uniqueName('route');
  const options = { capacityBytes: 4096 };
  const [producer, holder] = await startMembers([
    { what: 'send-forever', name, type: ChannelType.ROUTE, options },
    { what: 'hold', name, type: ChannelType.ROUTE, options },
  ]);
  assert.throws(() => new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, options), { code: 'LIMIT_PRODUCERS' });
  await producer?.end();
  using route = new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, options);
  while (route.trySend(Buffer.alloc(500)));
  const blocked = route.send(Buffer.alloc(500), { timeoutMs: 60_000 });
  await holder?.end();
  await blocked;
});

test('what killed processes left is removed by the next who lists', async () => {
  const name = uniqueName('left');
  const [first, second] = await startMembers([
    { what: 'receive', name, count: 1 },
    { what: 'hold', name },
  ]);
  // Once they are dead, anybody on this machine who opens a channel may be the next.
  assert.ok(leftovers(name).length > 0);
  await Promise.all([first?.end(), second?.end()]);
  assert.ok(!list().some((entry) => entry.name === name));
  await nothingLeft(name);
});
