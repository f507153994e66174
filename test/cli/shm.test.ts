// `isthmus shm` as a command: what it prints of channels, and how it exits.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, inspect, list, type ShmChannelOptions } from '../../src/shm/index.ts';
import { run } from './command-process.ts';

function opened(t: TestContext, name: string, mode: ConnMode, options: ShmChannelOptions = {}): IPCChannel {
  const channel = new IPCChannel(ChannelType.ROUTE, name, mode, { capacityBytes: 4096, ...options });
  t.after(() => channel.close());
  return channel;
}

const newName = (): string => `cli ${randomUUID()}`;

test('shm list has a line for each channel, with how far the slowest receiver is behind', async (t) => {
  const name = newName();
  opened(t, name, ConnMode.RECEIVER);
  opened(t, name, ConnMode.SENDER).trySend(Buffer.alloc(1008));
  const { code, stdout } = await run(t, ['shm', 'list']);
  assert.equal(code, 0);
  const lines = stdout.split('\n');
  assert.match(lines[0] ?? '', /^NAME +TYPE +POLICY +MESSAGES +SENDERS +RECEIVERS +BEHIND$/);
  const line = lines.find((one) => one.startsWith(name)) ?? '';
  assert.match(line.slice(name.length), /^ +ROUTE +block +1 +1 +1 +25 %$/);
});

test('shm list --json and shm inspect --json print what inspect() gives, and the channel goes on', async (t) => {
  const name = newName();
  const receiver = opened(t, name, ConnMode.RECEIVER, { peerName: 'reader' });
  const { type, ...report } = inspect(name) ?? assert.fail();
  const expected: unknown = JSON.parse(JSON.stringify({ ...report, type: 'ROUTE', group: false }));
  assert.equal(type, ChannelType.ROUTE);
  const { stdout: listed } = await run(t, ['shm', 'list', '--json']);
  const all = listed
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string });
  assert.deepEqual(
    all.find((one) => one.name === name),
    expected,
  );
  const { stdout: inspected } = await run(t, ['shm', 'inspect', name, '--json']);
  assert.deepEqual(JSON.parse(inspected), expected);
  assert.equal(receiver.getReceiverCount(), 1);
});

test('shm inspect says how the channel is made and who is in it; what others chose for names paints nothing', async (t) => {
  const name = newName();
  opened(t, name, ConnMode.RECEIVER, {
    policy: 'evict-after',
    evictAfterMs: 50,
    history: 2,
    peerName: '\u001b[31mred',
  });
  const { code, stdout } = await run(t, ['shm', 'inspect', name]);
  assert.equal(code, 0);
  const [head, titles, peer, ...rest] = stdout.split('\n');
  assert.equal(head, `${name}: ROUTE, evict-after 50 ms, history of 2, ring of 4096 bytes, 0 messages`);
  assert.match(titles ?? '', /^PID +NAME +DOES +BEHIND +SINCE$/);
  assert.match(peer ?? '', new RegExp(`^${process.pid} +"\\\\u001b\\[31mred" +receives +0 % +\\d{4}-.*Z$`));
  assert.deepEqual(rest, ['']);
});

test('shm clear removes the file of a channel; where there is none, it says so', async (t) => {
  const name = newName();
  opened(t, name, ConnMode.RECEIVER);
  const cleared = await run(t, ['shm', 'clear', name]);
  assert.deepEqual(cleared, { code: 0, signal: null, stdout: '', stderr: `Removed ${name}.\n` });
  assert.equal(
    list().some((one) => one.name === name),
    false,
  );
  for (const action of ['clear', 'inspect']) {
    const { code, stdout, stderr } = await run(t, ['shm', action, name]);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(
      stderr,
      new RegExp(`^isthmus shm: there is no channel '${name}'; '.* shm list' says which there are\n$`),
    );
  }
});
