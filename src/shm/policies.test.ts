import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { IPCError } from '../base/errors.ts';
import {
  ChannelType,
  clearChannelStorage,
  ConnMode,
  inspect,
  IPCChannel,
  list,
  receiveMessage,
  sendMessage,
  type ShmChannelOptions,
} from './index.ts';

/** What these tests do cannot be done on Windows. */
const posixOnly = { skip: process.platform === 'win32' };

const unique = (): string => `test.policy.${randomUUID()}`;

function open(t: TestContext, name: string, mode: ConnMode, options: ShmChannelOptions = {}): IPCChannel {
  const channel = new IPCChannel(ChannelType.CHANNEL, name, mode, options);
  t.after(() => channel.close());
  return channel;
}

test('drop-oldest never makes the sender wait, and the receiver learns exactly how many it missed', (t) => {
  const name = unique();
  const options = { policy: 'drop-oldest', capacityBytes: 4096 } as const;
  const receiver = open(t, name, ConnMode.RECEIVER, options);
  const sender = open(t, name, ConnMode.SENDER, options);
  let told = 0;
  receiver.on('missed', (count) => {
    told += count;
  });
  for (let i = 0; i < 1000; i++) assert.ok(sender.trySend(String(i).padStart(100)));
  const received: number[] = [];
  for (let data = receiver.tryReceive(); data; data = receiver.tryReceive()) received.push(Number(data.toString()));
  assert.equal(received.length + receiver.missedCount, 1000);
  assert.equal(told, receiver.missedCount);
  assert.equal(received.at(-1), 999);
  assert.equal(received[0], told);
});

test('evict-after evicts whoever holds the ring up for so long, tells it, and it may rejoin', async (t) => {
  const name = unique();
  const options = { policy: 'evict-after', evictAfterMs: 20, capacityBytes: 4096 } as const;
  const slow = open(t, name, ConnMode.RECEIVER, options);
  const sender = open(t, name, ConnMode.SENDER, options);
  for (let i = 0; i < 30; i++) await sender.send(Buffer.alloc(400, i), { timeoutMs: 60_000 });
  assert.equal(sender.getReceiverCount(), 0);
  assert.ok(sender.peers().some((peer) => peer.evicted));
  assert.throws(() => slow.tryReceive(), { code: 'LIMIT_EVICTED' });
  await assert.rejects(slow.receive(), { code: 'LIMIT_EVICTED' });
  slow.rejoin();
  await sender.send('again');
  assert.equal((await slow.receive()).toString(), 'again');
});

test('a late receiver begins with the last messages where there is a history', async (t) => {
  const name = unique();
  const sender = open(t, name, ConnMode.SENDER, { history: 3, capacityBytes: 4096 });
  for (let i = 0; i < 200; i++) await sender.send(`message ${i}`);
  const late = open(t, name, ConnMode.RECEIVER);
  for (const i of [197, 198, 199]) assert.equal(late.tryReceive()?.toString(), `message ${i}`);
  assert.equal(late.tryReceive(), null);
  assert.equal(late.missedCount, 0);
});

test('a latest channel keeps one value, and gives it to those who come late', async (t) => {
  const name = unique();
  const sender = open(t, name, ConnMode.SENDER, { latest: true });
  const early = open(t, name, ConnMode.RECEIVER);
  for (let i = 0; i < 500; i++) await sender.send(`value ${i}`);
  assert.equal(early.tryReceive()?.toString(), 'value 499');
  assert.equal(early.tryReceive(), null);
  const late = open(t, name, ConnMode.RECEIVER);
  assert.equal(late.tryReceive()?.toString(), 'value 499');
});

test('views show messages where they lie, hold the ring until released, and cannot be read afterwards', (t) => {
  const name = unique();
  const receiver = open(t, name, ConnMode.RECEIVER, { capacityBytes: 65_536 });
  const sender = open(t, name, ConnMode.SENDER);
  assert.ok(sender.trySend(Buffer.alloc(9000, 7)));
  const view = receiver.tryReceiveView();
  assert.ok(view?.inRing);
  const kept = view.data;
  let more = 0;
  while (sender.trySend(Buffer.alloc(9000, more))) more++;
  assert.ok(more < 8);
  assert.ok(kept.every((byte) => byte === 7));
  view.release();
  assert.equal(kept.length, 0);
  assert.throws(() => view.data, { code: 'USAGE_RELEASED' });
  for (let i = 0; i < more; i++) {
    using next = receiver.tryReceiveView();
    assert.equal(next?.data[0], i);
  }
  assert.ok(sender.trySend(Buffer.alloc(9000)));
  const last = receiver.tryReceiveView();
  receiver.close();
  assert.throws(() => last?.data, { code: 'USAGE_RELEASED' });
});

test('a view of a small message is a copy that holds nothing up, is wiped at the release, and ends with the handle', (t) => {
  const name = unique();
  const receiver = open(t, name, ConnMode.RECEIVER, { capacityBytes: 65_536 });
  const sender = open(t, name, ConnMode.SENDER);
  const send = (i: number): void => assert.ok(sender.trySend(Buffer.alloc(i % 3 === 2 ? 4097 : 4096, i + 1)));
  for (let i = 0; i < 5; i++) send(i);
  const view = receiver.tryReceiveView();
  assert.equal(view?.inRing, false);
  // The ring goes round several times.
  for (let i = 1; i < 100; i++) {
    using next = receiver.tryReceiveView();
    assert.equal(next?.sequence, i);
    assert.equal(next.data.length, i % 3 === 2 ? 4097 : 4096);
    assert.ok(next.data.every((byte) => byte === i + 1));
    if (i % 3 === 2) assert.ok(next.inRing);
    send(i + 4);
  }
  const kept = view.data;
  assert.ok(kept.every((byte) => byte === 1));
  view.release();
  view.release();
  assert.ok(kept.every((byte) => byte === 0));
  assert.throws(() => view.data, { code: 'USAGE_RELEASED' });
  const last = receiver.tryReceiveView();
  receiver.close();
  assert.throws(() => last?.data, { code: 'USAGE_RELEASED' });
  last?.release();
});

test('a loan on a route lies in the ring; commit sends what was written, release sends nothing', async (t) => {
  const name = unique();
  const sender = new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, { capacityBytes: 16_384 });
  const receiver = new IPCChannel(ChannelType.ROUTE, name, ConnMode.RECEIVER);
  t.after(() => (sender.close(), receiver.close()));
  for (let i = 0; i < 50; i++) {
    const loan = sender.loan(1000);
    assert.ok(loan.inRing);
    const { data } = loan;
    data.fill(i);
    assert.throws(() => sender.trySend('overtakes'), { code: 'USAGE_WRONG_MODE' });
    await loan.commit(500 + i);
    assert.equal(data.length, 0);
    assert.throws(() => loan.data, { code: 'USAGE_RELEASED' });
    assert.deepEqual(receiver.tryReceive(), Buffer.alloc(500 + i, i));
    sender.loan(100).release();
  }
  assert.equal(receiver.tryReceive(), null);
  const large = sender.loan(100_000);
  assert.equal(large.inRing, false);
  large.data.fill(1);
  const [got] = await Promise.all([receiver.receive(), large.commit()]);
  assert.equal(got.length, 100_000);
});

test('one name is one type and one policy', (t) => {
  const name = unique();
  open(t, name, ConnMode.SENDER, { policy: 'drop-oldest' });
  assert.throws(() => new IPCChannel(ChannelType.ROUTE, name), { code: 'USAGE_CHANNEL_MISMATCH' });
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name, ConnMode.BOTH, { policy: 'block' }), {
    code: 'USAGE_CHANNEL_MISMATCH',
  });
  open(t, name, ConnMode.RECEIVER);
});

/** Where the files of channels lie. */
const FOLDER = folderOfChannels();
function folderOfChannels(): string {
  if (process.platform === 'win32') return join(process.env['LOCALAPPDATA'] ?? '', 'isthmus');
  if (process.platform !== 'darwin') return '/dev/shm';
  return join(execFileSync('getconf', ['DARWIN_USER_CACHE_DIR'], { encoding: 'utf8' }).trim(), 'isthmus');
}

const fileOf = (name: string): string =>
  join(FOLDER, readdirSync(FOLDER).find((file) => file.endsWith(`-${name}`)) ?? 'none');

test(
  'the file is for its user alone; one that is open to others, a link, or of another layout is refused',
  posixOnly,
  async (t) => {
    const name = unique();
    const channel = open(t, name, ConnMode.SENDER);
    const file = fileOf(name);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    chmodSync(file, 0o666);
    assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'SYSTEM_SHM_FOREIGN' });
    chmodSync(file, 0o600);
    channel.close();
    // Somebody who tidies up at the same moment removes it a moment later.
    for (const end = Date.now() + 60_000; existsSync(file); await sleep(2)) assert.ok(Date.now() < end, 'it is left');

    symlinkSync('/etc/hostname', file);
    t.after(() => unlinkSync(file));
    assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'SYSTEM_SHM_FOREIGN' });
  },
);

test('inspect and list show what is there, and leave nothing behind', async (t) => {
  const name = unique();
  assert.equal(inspect(name), undefined);
  const sender = open(t, name, ConnMode.SENDER, { capacityBytes: 5000, peerName: 'the sender' });
  open(t, name, ConnMode.RECEIVER);
  await sender.send(Buffer.alloc(100));
  const report = inspect(name);
  assert.equal(report?.messages, 1);
  assert.equal(report.capacityBytes, 8192);
  assert.deepEqual(
    report.peers.map((peer) => [peer.name, peer.sends, peer.receives, peer.lagBytes]),
    [
      ['the sender', true, false, 0],
      ['', false, true, 128],
    ],
  );
  assert.ok(list().some((entry) => entry.name === name && !entry.group));
  sender.close();
});

test('inspect is noticed by nobody: it takes no slot, and looks into a full channel too', (t) => {
  const name = unique();
  const before = Date.now();
  const first = open(t, name, ConnMode.SENDER);
  const made = inspect(name)?.createdAt.getTime();
  assert.ok(made !== undefined && made >= before && made <= Date.now(), String(made));
  for (let i = 0; i < 3; i++) inspect(name);
  open(t, name, ConnMode.RECEIVER);
  // Whoever takes a slot raises its generation.
  assert.deepEqual(
    first.peers().map(({ id }) => id),
    ['0.1', '1.1'],
  );
  const others = Array.from({ length: 1022 }, () => open(t, name, ConnMode.RECEIVER));
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'LIMIT_PEERS' });
  assert.equal(inspect(name)?.peers.length, 1024);
  for (const other of others) other.close();
});

test('clearChannelStorage removes the file; those inside go on, newcomers begin anew', (t) => {
  const name = unique();
  assert.equal(clearChannelStorage(name), false);
  const [sender, receiver] = [open(t, name, ConnMode.SENDER), open(t, name, ConnMode.RECEIVER)];
  assert.equal(clearChannelStorage(name), true);
  assert.ok(sender.trySend('old'));
  assert.equal(receiver.tryReceive()?.toString(), 'old');
  assert.equal(open(t, name, ConnMode.RECEIVER).getReceiverCount(), 1);
});

test('sendMessage and receiveMessage need no handle', async (t) => {
  const name = unique();
  const receiving = receiveMessage(name, 60_000);
  const watcher = open(t, name, ConnMode.SENDER);
  assert.ok(await watcher.waitForReceivers(1, { timeoutMs: 60_000 }));
  await sendMessage(name, 'hello');
  assert.equal((await receiving).toString(), 'hello');
  await assert.rejects(receiveMessage(name, 10), { code: 'TIME_OUT' });
});

test('a file that nobody is in is no channel any more, whatever is in it: it is replaced', (t) => {
  const name = unique();
  const holder = open(t, name, ConnMode.SENDER);
  const file = fileOf(name);
  holder.close();
  writeFileSync(file, Buffer.alloc(200_000, 1), { mode: 0o600 });
  assert.equal(open(t, name, ConnMode.BOTH).getSenderCount(), 1);
});

test('two versions of the layout refuse each other on one name', (t) => {
  const name = unique();
  open(t, name, ConnMode.SENDER);
  overwrite(fileOf(name), 8, Buffer.from([99]));
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, name), { code: 'USAGE_CHANNEL_MISMATCH' });
});

function overwrite(file: string, position: number, bytes: Uint8Array): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, position);
  closeSync(fd);
}

test('whatever somebody writes into the region, we neither crash nor hang nor give a foreign error', (t) => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  for (let round = 0; round < 60; round++) {
    const name = unique();
    const policy = (['block', 'drop-oldest', 'evict-after'] as const)[round % 3] ?? 'block';
    const channels = [ConnMode.SENDER, ConnMode.RECEIVER, ConnMode.BOTH].map((mode) =>
      open(t, name, mode, { policy, capacityBytes: 4096, history: 2 }),
    );
    const file = fileOf(name);
    const dataOffset = statSync(file).size - 4096;
    for (let turn = 0; turn < 20; turn++) {
      const bytes = Buffer.from(Array.from({ length: 1 + random(16) }, () => random(256)));
      // The first lines hold what decides; the data begins at the end.
      overwrite(file, random(2) === 0 ? 128 + random(1600) : dataOffset + random(4000), bytes);
      for (const action of [
        () => channels[0]?.trySend(Buffer.alloc(random(1500))),
        () => channels[2]?.trySend(Buffer.alloc(random(1500))),
        () => channels[1]?.tryReceive(),
        () => channels[2]?.tryReceive(),
        () => channels[1]?.tryReceiveView()?.release(),
        () => channels[0]?.peers(),
      ]) {
        try {
          action();
        } catch (error) {
          assert.ok(error instanceof IPCError, String(error));
        }
      }
    }
    for (const channel of channels) channel.close();
  }
});
