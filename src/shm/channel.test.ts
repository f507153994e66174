import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, IPCStatus, type ShmChannelOptions } from './index.ts';
import { decodeName, encodeName } from './options.ts';

/** Channels of one name, closed when the test ends. */
function opener(t: TestContext, options: ShmChannelOptions = {}): (mode: ConnMode) => IPCChannel {
  const name = `test.channel.${randomUUID()}`;
  return (mode) => {
    const channel = new IPCChannel(ChannelType.CHANNEL, name, mode, options);
    t.after(() => channel.close());
    return channel;
  };
}

test('a message reaches every receiver, and is one Buffer of its own bytes', async (t) => {
  const open = opener(t);
  const receivers = [open(ConnMode.RECEIVER), open(ConnMode.RECEIVER)];
  const sender = open(ConnMode.SENDER);
  await sender.send('text');
  await sender.send(new Uint8Array([1, 2, 3]));
  await sender.send(new Uint8Array([4, 5]).buffer);
  for (const receiver of receivers) {
    assert.equal((await receiver.receive()).toString(), 'text');
    assert.deepEqual([...(await receiver.receive())], [1, 2, 3]);
    assert.deepEqual(receiver.tryReceive(), Buffer.from([4, 5]));
    assert.equal(receiver.tryReceive(), null);
  }
});

test('a received Buffer stays as it was, however much comes after it', async (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const kept: Buffer[] = [];
  for (let i = 0; i < 3000; i++) {
    await sender.send(Buffer.alloc(100, i));
    kept.push(await receiver.receive());
  }
  assert.ok(kept.every((data, i) => data.equals(Buffer.alloc(100, i))));
});

test('memory of Buffers that nobody holds is used again, that of others never', async (t) => {
  const open = opener(t, { capacityBytes: 1 << 20 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const kept: { data: Buffer; value: number }[] = [];
  const sizes = [1000, 40_000, 700_000];
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 3000; i++) {
    const bytes = sizes[i % sizes.length] ?? 0;
    const sending = sender.send(Buffer.alloc(bytes, i));
    const data = await receiver.receive();
    await sending;
    assert.equal(data.length, bytes);
    if (i % 100 < 3) kept.push({ data, value: i });
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const { data, value } of kept) assert.ok(data.equals(Buffer.alloc(data.length, value)));
  // 740 MB have come; what was kept is 22, and what waits to be collected some 100.
  assert.ok(process.memoryUsage().rss - before < 500e6);
});

test('receiveInto fills a place of the caller, and leaves what does not fit there', async (t) => {
  const open = opener(t, { capacityBytes: 1 << 16 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const place = Buffer.alloc(100_000);
  assert.equal(receiver.tryReceiveInto(place), null);
  for (const bytes of [0, 1, 5000, 15_000, 100_000]) {
    const coming = receiver.receiveInto(place);
    await sender.send(Buffer.alloc(bytes, 7));
    assert.equal(await coming, bytes);
    assert.ok(place.subarray(0, bytes).equals(Buffer.alloc(bytes, 7)));
  }
  for (const bytes of [500, 50_000]) {
    const sending = sender.send(Buffer.alloc(bytes, 8));
    await assert.rejects(receiver.receiveInto(Buffer.alloc(20)), { code: 'USAGE_INVALID_OPTION' });
    assert.throws(() => receiver.tryReceiveInto(Buffer.alloc(20)), { code: 'USAGE_INVALID_OPTION' });
    assert.equal(receiver.tryReceiveInto(place), bytes);
    await sending;
  }
  // What was taken in advance comes first.
  for (let i = 0; i < 4; i++) sender.trySend(Buffer.alloc(10 + i, i));
  assert.equal(receiver.tryReceive()?.length, 10);
  assert.throws(() => receiver.tryReceiveInto(Buffer.alloc(2)), { code: 'USAGE_INVALID_OPTION' });
  for (let i = 1; i < 4; i++) assert.equal(receiver.tryReceiveInto(place), 10 + i);
  await assert.rejects(receiver.receiveInto(place, 1), { code: 'TIME_OUT' });
});

test('a borrowed message is whole while its handler runs; one that is received besides is kept', async (t) => {
  const open = opener(t, { capacityBytes: 1 << 18 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const sizes = [100, 1000, 40_000, 200_000, 0];
  const kept: { data: Buffer; number: number }[] = [];
  let seen = 0;
  const whole = (data: Buffer, number: number): boolean =>
    data.equals(Buffer.alloc(sizes[number % sizes.length] ?? 0, number));
  const sending = sender.sendMany(Array.from({ length: 520 }, (_, i) => Buffer.alloc(sizes[i % sizes.length] ?? 0, i)));
  await new Promise<void>((resolve) => {
    const end = receiver.onMessage(
      (data, { sequence }) => {
        assert.equal(sequence, seen);
        assert.ok(whole(data, sequence));
        seen++;
        const next = sequence % 7 === 0 ? receiver.tryReceive() : null;
        if (next) kept.push({ data: next, number: seen++ });
        if (seen >= 500) {
          end();
          resolve();
        }
      },
      { borrow: true },
    );
  });
  assert.ok(kept.length > 10 && kept.every(({ data, number }) => whole(data, number)));
  for (; seen < 520; seen++) assert.ok(whole(await receiver.receive(), seen));
  await sending;
});

test('receiveView waits for a message and gives it where it lies', async (t) => {
  const open = opener(t);
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const coming = receiver.receiveView();
  await sender.send(Buffer.alloc(5000, 'seen'));
  using view = await coming;
  assert.ok(view.inRing);
  assert.equal(Buffer.from(view.data.subarray(0, 8)).toString(), 'seenseen');
  await assert.rejects(receiver.receiveView(1), { code: 'TIME_OUT' });
  const waiting = receiver.receiveView();
  receiver.close();
  await assert.rejects(waiting, { code: 'USAGE_CLOSED' });
});

test('a handle does not receive what it sent, unless it asks for its echo', async (t) => {
  const open = opener(t);
  const [one, two] = [open(ConnMode.BOTH), open(ConnMode.BOTH)];
  assert.ok(one.trySend('from one'));
  assert.equal(two.tryReceive()?.toString(), 'from one');
  assert.equal(one.tryReceive(), null);
  const echoing = opener(t, { echo: true })(ConnMode.BOTH);
  assert.ok(echoing.trySend('back'));
  assert.equal(echoing.tryReceive()?.toString(), 'back');
});

test('a handle that only sends through a mode of both does not block itself', async (t) => {
  const both = opener(t, { capacityBytes: 4096 })(ConnMode.BOTH);
  for (let i = 0; i < 100; i++) await both.send(Buffer.alloc(500), { timeoutMs: 60_000 });
});

test('trySend says false when a receiver is a ring behind, and send waits until it has moved', async (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  let inside = 0;
  while (sender.trySend(Buffer.alloc(400, inside))) inside++;
  const late = Array.from({ length: 20 }, (_, i) => sender.send(Buffer.alloc(400, inside + i)));
  assert.equal(sender.trySend('must not overtake'), false);
  for (let i = 0; i < inside + 20; i++) assert.equal((await receiver.receive())[0], i % 256);
  await Promise.all(late);
});

test('sendMany and receiveMany keep order and content, whatever the sizes', async (t) => {
  const open = opener(t, { capacityBytes: 16_384 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const messages = Array.from({ length: 2000 }, (_, i) => Buffer.alloc((i * 37) % (i % 50 === 0 ? 40_000 : 700), i));
  const sending = sender.sendMany(messages);
  const received: Buffer[] = [];
  while (received.length < messages.length) received.push(...(await receiver.receiveMany(100)));
  await sending;
  assert.ok(received.every((data, i) => data.equals(messages[i] ?? Buffer.alloc(0))));
});

test('every wait ends: by time-out, by AbortSignal, by close', async (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  await assert.rejects(receiver.receive(0), { code: 'TIME_OUT', statusCode: IPCStatus.TIMEOUT });
  await assert.rejects(receiver.receive({ timeoutMs: 10 }), { code: 'TIME_OUT' });
  const abort = new AbortController();
  const aborted = receiver.receive({ signal: abort.signal });
  abort.abort();
  await assert.rejects(aborted, { code: 'TIME_CANCELLED' });
  assert.throws(() => receiver.receiveSync(10), { code: 'TIME_OUT' });
  while (sender.trySend(Buffer.alloc(500)));
  assert.throws(() => sender.sendSync(Buffer.alloc(500), 10), { code: 'TIME_OUT' });
  const sending = sender.send(Buffer.alloc(500));
  sender.close();
  await assert.rejects(sending, { code: 'USAGE_CLOSED' });
  while (receiver.tryReceive());
  const receiving = receiver.receive();
  receiver.close();
  await assert.rejects(receiving, { code: 'USAGE_CLOSED' });
  await assert.rejects(receiver.receive(), { code: 'USAGE_CLOSED' });
});

test('after a large message that timed out half sent, the next one is whole', async (t) => {
  const open = opener(t, { capacityBytes: 16_384 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  await assert.rejects(sender.send(Buffer.alloc(100_000, 1), { timeoutMs: 10 }), { code: 'TIME_OUT' });
  const [data] = await Promise.all([receiver.receive(), sender.send(Buffer.alloc(100_000, 2))]);
  assert.ok(data.equals(Buffer.alloc(100_000, 2)));
  assert.equal(receiver.missedCount, 0);
});

test('for await gives messages until close; onMessage gives each with its number', async (t) => {
  const open = opener(t);
  const [iterated, handled, sender] = [open(ConnMode.RECEIVER), open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const numbers: number[] = [];
  const stop = handled.onMessage((data, { sequence }) => {
    assert.equal(data.toString(), String(sequence));
    numbers.push(sequence);
    if (sequence === 9) stop();
  });
  const sending = sender.sendMany(Array.from({ length: 10 }, (_, i) => String(i)));
  const seen: string[] = [];
  for await (const message of iterated) {
    seen.push(message.toString());
    if (seen.length === 10) iterated.close();
  }
  await sending;
  assert.deepEqual(seen, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  while (numbers.length < 10) await new Promise((resolve) => setImmediate(resolve));
});

test('using a handle for what it was not opened for, or with wrong arguments, is an error that says so', (t) => {
  const open = opener(t);
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  assert.throws(() => receiver.trySend('x'), { code: 'USAGE_WRONG_MODE' });
  assert.throws(() => sender.tryReceive(), { code: 'USAGE_WRONG_MODE' });
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, ''), { code: 'USAGE_INVALID_NAME' });
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, 'x'.repeat(300)), { code: 'USAGE_INVALID_NAME' });
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, 'x', ConnMode.BOTH, { capacityBytes: 100 }), {
    code: 'USAGE_INVALID_OPTION',
  });
  assert.throws(() => new IPCChannel(ChannelType.CHANNEL, 'x', ConnMode.BOTH, { latest: true, policy: 'block' }), {
    code: 'USAGE_INVALID_OPTION',
  });
});

test('a name of any characters is one channel, and no path', (t) => {
  const own = randomUUID();
  for (const name of [`../../etc/${own}`, `a b/ü ${own}`, `~${own}~`, `x${own}`]) {
    const channel = new IPCChannel(ChannelType.CHANNEL, name);
    t.after(() => channel.close());
    assert.equal(channel.getReceiverCount(), 1);
  }
});

test('connect, disconnect and close mean what they say', (t) => {
  const open = opener(t);
  const [one, other] = [open(ConnMode.SENDER), open(ConnMode.RECEIVER)];
  assert.ok(one.isConnected && !one.isClosed);
  one.disconnect();
  assert.ok(!one.isConnected && !one.isClosed);
  assert.equal(other.getSenderCount(), 0);
  assert.throws(() => one.trySend('x'), { code: 'USAGE_NOT_CONNECTED' });
  one.connect(ConnMode.BOTH);
  assert.equal(other.getSenderCount(), 1);
  assert.equal(other.getReceiverCount(), 2);
  one.close();
  one.close();
  assert.ok(one.isClosed);
  assert.throws(() => one.connect(), { code: 'USAGE_CLOSED' });
});

test('waitForReceivers resolves when they are there, and says false when the time is over', async (t) => {
  const open = opener(t);
  const sender = open(ConnMode.SENDER);
  assert.equal(await sender.waitForReceivers(1, { timeoutMs: 10 }), false);
  // Whether the time of a signal runs out before the call or during it.
  const signal = AbortSignal.timeout(10);
  assert.equal(await sender.waitForReceivers(1, { signal }), false);
  assert.equal(await sender.waitForReceivers(1, { signal }), false);
  const there = sender.waitForReceivers(2, { timeoutMs: 60_000 });
  open(ConnMode.RECEIVER);
  open(ConnMode.RECEIVER);
  assert.equal(await there, true);
});

test('joins and leaves are events', async (t) => {
  const open = opener(t);
  const watcher = open(ConnMode.SENDER);
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  const joined = new Promise((resolve) => watcher.once('join', (peer) => resolve(peer.receives)));
  const left = new Promise((resolve) => watcher.once('leave', (peer) => resolve(peer.receives)));
  const receiver = open(ConnMode.RECEIVER);
  assert.equal(await joined, true);
  receiver.close();
  assert.equal(await left, true);
});

test('names that differ in the case of letters are two channels, also where their files would be one', () => {
  assert.notEqual(encodeName('Prices', true).toLowerCase(), encodeName('prices', true).toLowerCase());
  for (const caseless of [true, false]) assert.equal(decodeName(encodeName('A b/ü%41', caseless)), 'A b/ü%41');
});
