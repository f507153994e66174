// What the program may do with a channel while the channel is calling it, or at a moment that nobody thought of.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { numbered, pair } from '../../test/support/channel-pair.ts';
import { clearChannelStorage, ChannelType, ConnMode, inspect, IPCChannel, type ShmChannelOptions } from './index.ts';

const DROPPING: ShmChannelOptions = { policy: 'drop-oldest', capacityBytes: 4096 };

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** What the program's code throws while the channel calls it, in the order in which it comes up. */
function uncaughtDuring(t: TestContext): string[] {
  const texts: string[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => texts.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  return texts;
}

test('receiveMany gives what has come, also when the channel is closed or the receiver evicted before the rest', async (t) => {
  for (const end of ['close', 'disconnect'] as const) {
    const { receiver, sender } = pair(t);
    sender.trySend('first');
    const receiving = receiver.receiveMany(10);
    receiver[end]();
    assert.deepEqual((await receiving).map(String), ['first']);
  }
  const { receiver, sender } = pair(t, { policy: 'evict-after', evictAfterMs: 1, capacityBytes: 4096 });
  sender.trySend('before');
  assert.equal(String(await receiver.receive()), 'before');
  sender.trySend('last');
  const receiving = receiver.receiveMany(10);
  while (sender.getReceiverCount() > 0) sender.trySend(Buffer.alloc(900));
  assert.deepEqual((await receiving).map(String), ['last']);
  await assert.rejects(receiver.receiveMany(10), { code: 'LIMIT_EVICTED' });
});

test('calls are answered in their order, however many there are at once', async (t) => {
  const { receiver, sender } = pair(t);
  const count = 5000;
  await sender.sendMany(Array.from({ length: count }, (_, i) => String(i)));
  const answered: number[] = [];
  await Promise.all(
    Array.from({ length: count }, () => receiver.receive().then((data) => answered.push(Number(String(data))))),
  );
  assert.deepEqual(
    answered,
    Array.from({ length: count }, (_, i) => i),
  );
});

test('a listener that throws when messages were missed, or when somebody joins, costs no message and no event', async (t) => {
  const uncaught = uncaughtDuring(t);
  const { receiver, sender } = pair(t, DROPPING);
  for (const data of numbered(100)) sender.trySend(data);
  receiver.on('missed', () => {
    throw new Error('missed');
  });
  const [first] = [receiver.tryReceive()?.[0], await turn()];
  assert.equal(first, receiver.missedCount);
  const joined: string[] = [];
  sender.on('join', ({ name }) => {
    joined.push(name);
    throw new Error('join');
  });
  const others = ['a', 'b'].map(
    (peerName) => new IPCChannel(ChannelType.CHANNEL, sender.name, ConnMode.RECEIVER, { peerName }),
  );
  assert.ok(await sender.waitForReceivers(3, 60_000));
  await until(() => joined.length === 2);
  await turn();
  for (const other of others) other.close();
  assert.deepEqual(uncaught, ['missed', 'join', 'join']);
});

test('a listener that closes the channel hears nothing more', async (t) => {
  const { sender: watcher } = pair(t);
  const [one, two] = [ConnMode.SENDER, ConnMode.SENDER].map(
    (mode) => new IPCChannel(ChannelType.CHANNEL, watcher.name, mode),
  );
  const heard: string[] = [];
  for (const event of ['join', 'leave', 'death'] as const) {
    watcher.on(event, () => {
      heard.push(event);
      watcher.close();
    });
  }
  one?.close();
  two?.close();
  const alive = setInterval(() => undefined, 1000);
  await until(() => heard.length > 0);
  await turn();
  clearInterval(alive);
  assert.deepEqual(heard, ['leave']);
});

test('each handler gets the number of its message, whatever others receive meanwhile', async (t) => {
  const { receiver, sender } = pair(t, DROPPING);
  const seen: [number | undefined, number, number][] = [];
  receiver.once('missed', () => receiver.tryReceive());
  receiver.onMessage(() => receiver.tryReceive());
  receiver.onMessage((data, { sequence, missed }) => seen.push([data[0], sequence, missed]));
  for (const data of numbered(100)) sender.trySend(data);
  await until(() => seen.length > 2);
  const [first] = seen[0] ?? [];
  assert.ok(first !== undefined && first > 50);
  assert.deepEqual(seen.slice(0, 3), [
    [first, first, first],
    [first + 3, first + 3, 0],
    [first + 5, first + 5, 0],
  ]);
});

test('handlers are called one after the other: also when one adds another, receives, or waits', async (t) => {
  const { receiver, sender } = pair(t);
  for (const data of numbered(6)) sender.trySend(data);
  const log: string[] = [];
  const awaited: Promise<Buffer>[] = [];
  receiver.onMessage(
    (data) => {
      const number = data[0] ?? -1;
      log.push(`in ${number}`);
      if (number === 0) receiver.onMessage((other) => log.push(`other ${String(other[0])}`));
      if (number === 2) awaited.push(receiver.receive(), receiver.receive());
      assert.equal(data[0], number);
      log.push(`out ${number}`);
    },
    { borrow: true },
  );
  await until(() => log.includes('other 5'));
  assert.deepEqual(log, [
    'in 0',
    'out 0',
    'in 1',
    'out 1',
    'other 1',
    'in 2',
    'out 2',
    'other 2',
    'in 5',
    'out 5',
    'other 5',
  ]);
  assert.deepEqual(
    (await Promise.all(awaited)).map((data) => data[0]),
    [3, 4],
  );
});

test('the next message waits for the promise of a handler; one that the handler itself receives does not', async (t) => {
  const rejections: unknown[] = [];
  const listeners = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (reason) => rejections.push(reason));
  t.after(() => {
    process.removeAllListeners('unhandledRejection');
    for (const listener of listeners) process.on('unhandledRejection', listener);
  });
  const { receiver, sender } = pair(t);
  const log: string[] = [];
  receiver.onMessage(
    async (data) => {
      log.push(`in ${String(data)}`);
      await turn();
      if (String(data) === 'header') log.push(`got ${String(await receiver.receive(60_000))}`);
      log.push(`out ${String(data)}`);
      if (String(data) === 'bad') throw new Error('mine');
    },
    { borrow: true },
  );
  await sender.sendMany(['1', 'header', 'body', 'bad', '2']);
  await until(() => log.includes('out 2'));
  assert.deepEqual(log, ['in 1', 'out 1', 'in header', 'got body', 'out header', 'in bad', 'out bad', 'in 2', 'out 2']);
  assert.deepEqual(rejections.map(String), ['Error: mine']);
});

test('a handler can end itself with its first message, also with one that was there before it', async (t) => {
  const { receiver, sender } = pair(t);
  for (const data of numbered(3)) sender.trySend(data);
  const seen: (number | undefined)[] = [];
  const end = receiver.onMessage((data) => {
    end();
    seen.push(data[0]);
  });
  await turn();
  assert.deepEqual(seen, [0]);
  assert.equal(receiver.tryReceive()?.[0], 1);
});

test('ending a handler ends that one, once; the same function may be given again', async (t) => {
  const { receiver, sender } = pair(t);
  let calls = 0;
  const handler = (): unknown => calls++;
  const end = receiver.onMessage(handler);
  end();
  receiver.onMessage(handler);
  end();
  sender.trySend('x');
  await until(() => calls > 0);
  assert.equal(calls, 1);
});

test('an iterator that was returned takes no message any more, not even by a next() that waits', async (t) => {
  const { receiver, sender } = pair(t);
  const messages = receiver[Symbol.asyncIterator]();
  const waiting = messages.next();
  await messages.return?.();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.deepEqual(await messages.next(), { done: true, value: undefined });
  sender.trySend('for others');
  assert.equal(String(await receiver.receive(60_000)), 'for others');
});

test('for await ends when the channel is left, by its own body or by others', async (t) => {
  const { receiver, sender } = pair(t);
  sender.trySend('x');
  for await (const message of receiver) {
    assert.equal(String(message), 'x');
    receiver.disconnect();
  }
  await assert.rejects(receiver[Symbol.asyncIterator]().next(), { code: 'USAGE_NOT_CONNECTED' });
  receiver.connect();
  const waiting = receiver[Symbol.asyncIterator]().next();
  receiver.disconnect();
  assert.equal((await waiting).done, true);
});

test('rejoin of a receiver that was not evicted loses nothing', (t) => {
  const { receiver, sender } = pair(t);
  sender.trySend('kept');
  receiver.rejoin();
  assert.equal(String(receiver.tryReceive()), 'kept');
});

test('a name that cannot be told from another, and options that are none, are refused', () => {
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, 'half \ud800'), { code: 'USAGE_INVALID_NAME' });
  for (const options of [null, { grup: true }] as object[]) {
    assert.throws(() => clearChannelStorage('none', options), { code: 'USAGE_INVALID_OPTION' });
    assert.throws(() => inspect('none', options), { code: 'USAGE_INVALID_OPTION' });
  }
});

function transferredInbox(t: TestContext): void {
  const { receiver, sender } = pair(t);
  const transfer = (data: Buffer | null): unknown =>
    Reflect.apply(Reflect.get(ArrayBuffer.prototype, 'transfer') as () => unknown, data?.buffer, []);
  for (const data of numbered(5)) sender.trySend(data);
  transfer(receiver.tryReceive());
  assert.throws(() => receiver.tryReceive(), { code: 'USAGE_RELEASED', details: { messages: 4 } });
  assert.equal(receiver.tryReceive(), null);
  sender.trySend('next');
  const next = receiver.tryReceive();
  assert.equal(String(next), 'next');
  transfer(next);
  sender.trySend('and next');
  assert.equal(String(receiver.tryReceive()), 'and next');
}

// Node 20 cannot transfer such memory.
if ('transfer' in ArrayBuffer.prototype) {
  test(
    'received memory that was transferred with messages behind it is an error that counts them, and the channel goes on',
    transferredInbox,
  );
}
