// A stopped process is alive: it is counted and keeps what it has, until it is killed.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, type Peer, type ShmChannelOptions } from '../../src/shm/index.ts';
import { makeMessage } from './content.ts';
import { Member, nothingLeft, startMembers, uniqueName } from './processes.ts';
import type { MemberTask } from './member.ts';

const linuxOnly = { skip: process.platform !== 'linux' };
const COUNT = 1000;

/** A member that is stopped, and a sender; the member is ended with the test. */
async function stopped(
  t: TestContext,
  task: Omit<MemberTask, 'name'>,
): Promise<{ member: Member; sender: IPCChannel }> {
  const name = uniqueName('stopped');
  const [member] = await startMembers([{ ...task, name }]);
  assert.ok(member);
  const sender = new IPCChannel(task.type ?? ChannelType.CHANNEL, name, ConnMode.SENDER, task.options ?? {});
  t.after(async () => {
    // The sender is the last, whenever the member is killed, and so the one that removes the files.
    await member.end();
    sender.close();
    await nothingLeft(name);
  });
  await member.stop();
  return { member, sender };
}

const small = (more: ShmChannelOptions = {}): ShmChannelOptions => ({ capacityBytes: 16_384, ...more });

test(
  'drop-oldest: a stopped receiver holds nobody up, and learns afterwards exactly how many it missed',
  linuxOnly,
  async (t) => {
    const { member, sender } = await stopped(t, {
      what: 'tally',
      count: COUNT,
      options: small({ policy: 'drop-oldest' }),
    });
    for (let number = 0; number < COUNT; number++) assert.ok(sender.trySend(makeMessage(1, number, 200)));
    assert.equal(sender.getReceiverCount(), 1);
    member.child.kill('SIGCONT');
    const { received, missed } = (await member.says('tally')) as { received: number; missed: number };
    assert.equal(received + missed, COUNT);
    assert.ok(missed > 0);
  },
);

test(
  'evict-after: a stopped receiver is evicted, told so when it goes on, and is not taken for dead',
  linuxOnly,
  async (t) => {
    const options = small({ policy: 'evict-after', evictAfterMs: 50 });
    const { member, sender } = await stopped(t, { what: 'tally', count: COUNT, options });
    const deaths: Peer[] = [];
    sender.on('death', (peer) => deaths.push(peer));
    for (let number = 0; number < COUNT; number++)
      await sender.send(makeMessage(1, number, 200), { timeoutMs: 60_000 });
    assert.equal(sender.getReceiverCount(), 0);
    assert.deepEqual(
      sender.peers().map((peer) => [peer.receives, peer.evicted]),
      [
        [true, true],
        [false, false],
      ],
    );
    member.child.kill('SIGCONT');
    assert.equal(((await member.says('tally')) as { ended?: string }).ended, 'LIMIT_EVICTED');
    assert.deepEqual(deaths, []);
  },
);

test('block: a receiver that is stopped and then killed lets the waiting sender go on', linuxOnly, async (t) => {
  const { member, sender } = await stopped(t, { what: 'receive', count: COUNT, options: small() });
  while (sender.trySend(makeMessage(1, 0, 200)));
  await assert.rejects(sender.send(makeMessage(1, 0, 200), { timeoutMs: 100 }), { code: 'TIME_OUT' });
  assert.throws(() => sender.sendSync(makeMessage(1, 0, 200), 50), { code: 'TIME_OUT' });
  const abort = new AbortController();
  const aborted = sender.send(makeMessage(1, 0, 200), { signal: abort.signal });
  const waiting = sender.send(makeMessage(1, 0, 200), { timeoutMs: 60_000 });
  abort.abort();
  await assert.rejects(aborted, { code: 'TIME_CANCELLED' });
  const died = new Promise((resolve) => sender.once('death', (peer) => resolve(peer.pid)));
  await member.end('SIGKILL');
  await waiting;
  assert.equal(sender.getReceiverCount(), 0);
  assert.equal(await died, member.child.pid);
});

test('a stopped producer keeps its route; killed, it gives it up', linuxOnly, async () => {
  const name = uniqueName('stopped');
  const type = ChannelType.ROUTE;
  const [producer] = await startMembers([{ what: 'send-forever', name, type, maxBytes: 300 }]);
  using receiver = new IPCChannel(type, name, ConnMode.RECEIVER);
  await receiver.receive({ timeoutMs: 60_000 });
  await producer?.stop();
  assert.throws(() => new IPCChannel(type, name, ConnMode.SENDER), { code: 'LIMIT_PRODUCERS' });
  assert.equal(receiver.getSenderCount(), 1);
  await producer?.end('SIGKILL');
  using next = new IPCChannel(type, name, ConnMode.SENDER);
  assert.equal(receiver.getSenderCount(), 1);
  while (receiver.tryReceive());
  await next.send('free again', { timeoutMs: 60_000 });
  assert.equal((await receiver.receive({ timeoutMs: 60_000 })).toString(), 'free again');
});

test('process.exit with a view open and a message under way leaves nothing behind', linuxOnly, async () => {
  const name = uniqueName('exit');
  const options = { echo: true };
  const member = new Member({ what: 'hold-view', name, options });
  assert.equal(await member.says('inRing'), true);
  await member.ended();
  await nothingLeft(name);
});
