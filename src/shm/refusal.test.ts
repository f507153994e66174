import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { ChannelType, ConnMode, IPCChannel, IPCStatus, type ShmChannelOptions } from './index.ts';

const linuxOnly = { skip: process.platform !== 'linux' };

const unique = (): string => `test.refusal.${randomUUID()}`;
const fileOf = (name: string): string => `/dev/shm/isthmus-u${process.geteuid?.()}-${name}`;

function open(t: TestContext, type: ChannelType, name: string, options: ShmChannelOptions = {}): IPCChannel {
  const channel = new IPCChannel(type, name, ConnMode.BOTH, options);
  t.after(() => channel.close());
  return channel;
}

/** The code and text of what is thrown, the channel's name left out; it has a status code of libipc. */
function refused(name: string, call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof IPCError && 'statusCode' in error, String(error));
    return `${error.code}: ${error.message.replace(`channel '${name}': `, '')}`;
  }
  throw new Error('nothing was thrown');
}

test('a mismatch says what the channel is and what was asked for', (t) => {
  const name = unique();
  open(t, ChannelType.ROUTE, name, { policy: 'drop-oldest' });
  const ask = (type: ChannelType, options: ShmChannelOptions = {}): string =>
    refused(name, () => new IPCChannel(type, name, ConnMode.RECEIVER, options));
  const code = "USAGE_CHANNEL_MISMATCH: it is a ROUTE with policy 'drop-oldest', and";
  assert.equal(ask(ChannelType.CHANNEL), `${code} a CHANNEL with policy 'drop-oldest' was asked for`);
  assert.equal(ask(ChannelType.ROUTE, { policy: 'block' }), `${code} a ROUTE with policy 'block' was asked for`);
  const latest = `${code} a ROUTE that keeps the latest value was asked for`;
  assert.equal(ask(ChannelType.ROUTE, { latest: true }), latest);
});

test('a file that is refused is named, and what is wrong with it', linuxOnly, (t) => {
  const name = unique();
  const file = fileOf(name);
  t.after(() => rmSync(file, { recursive: true, force: true }));
  const ask = (): string => refused(name, () => new IPCChannel(ChannelType.CHANNEL, name));
  symlinkSync('/etc/hostname', file);
  assert.equal(ask(), `SYSTEM_SHM_FOREIGN: ${file} is a symbolic link`);
  rmSync(file);
  mkdirSync(file);
  assert.equal(ask(), `SYSTEM_SHM_FOREIGN: ${file} is no regular file`);
  rmSync(file, { recursive: true });
  writeFileSync(file, '');
  chmodSync(file, 0o644);
  assert.equal(ask(), `SYSTEM_SHM_FOREIGN: ${file} may be opened by others: mode 0644`);
});

test('mustExist on a channel that nobody is in has an error of its own', () => {
  const name = unique();
  const ask = (): unknown => new IPCChannel(ChannelType.CHANNEL, name, ConnMode.BOTH, { mustExist: true });
  assert.equal(refused(name, ask), 'USAGE_NO_CHANNEL: nobody is in it');
  assert.throws(ask, { statusCode: IPCStatus.CONNECTION_FAILED });
});

test('a message that is too large says how large one may be, and one of that size goes', async (t) => {
  const name = unique();
  const channel = open(t, ChannelType.CHANNEL, name, { capacityBytes: 65_536, echo: true });
  const limitOf = async (call: () => unknown): Promise<number> => {
    const error: unknown = await Promise.resolve()
      .then(call)
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof IPCError && error.code === 'LIMIT_MESSAGE_BYTES', String(error));
    assert.equal(error.details['bytes'], 65_536);
    const maxBytes = error.details['maxBytes'];
    assert.ok(typeof maxBytes === 'number' && error.message.includes(`at most ${maxBytes} `), error.message);
    return maxBytes;
  };
  const whole = await limitOf(() => channel.trySend(Buffer.alloc(65_536)));
  assert.ok(whole > 65_536 / 3);
  // Wherever in the ring it begins.
  for (let at = 0; at < 100; at++) {
    assert.ok(channel.trySend(Buffer.alloc(whole, at)), String(at));
    assert.equal(channel.tryReceive()?.length, whole);
    assert.ok(channel.trySend(Buffer.alloc(at * 16)));
    assert.equal(channel.tryReceive()?.length, at * 16);
  }
  const latest = open(t, ChannelType.CHANNEL, `${name}.latest`, { capacityBytes: 65_536, latest: true, echo: true });
  const most = await limitOf(() => latest.send(Buffer.alloc(65_536)));
  await latest.send(Buffer.alloc(most));
  assert.equal(latest.tryReceive()?.length, most);
  assert.throws(() => latest.trySend(Buffer.alloc(most + 1)), { code: 'LIMIT_MESSAGE_BYTES' });
});
