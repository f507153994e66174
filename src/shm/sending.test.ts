// What the program may ask to be sent, and when: while others wait, with memory that it gives away, with what is no message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numbered, pair } from '../../test/support/channel-pair.ts';
import { IPCError } from '../base/errors.ts';
import { ChannelType, type IPCChannel } from './index.ts';

test('a loan that is taken while sendMany is under way overwrites none of its messages', async (t) => {
  const { receiver, sender } = pair(t, { capacityBytes: 65_536 }, ChannelType.ROUTE);
  const messages = [
    Buffer.from('a'),
    Buffer.alloc(17_000, 'b'),
    Buffer.from('c'),
    Buffer.alloc(40_000, 'd'),
    Buffer.from('e'),
  ];
  const sending = sender.sendMany(messages);
  const loan = sender.loan(100);
  loan.data.fill(0x6c);
  const committed = sending.then(() => loan.commit());
  const received: string[] = [];
  while (received.length < 6) received.push(String((await receiver.receive()).subarray(0, 1)));
  await committed;
  assert.deepEqual(received, ['a', 'b', 'c', 'd', 'e', 'l']);
});

test('an option or message that takes a loan while it is looked at does not slip past it', (t) => {
  const { receiver, sender } = pair(t, {}, ChannelType.ROUTE);
  let loan: ReturnType<IPCChannel['loan']> | undefined;
  const messages: Buffer[] = [];
  Object.defineProperty(messages, '0', { get: () => ((loan ??= sender.loan(10)), Buffer.from('overtakes')) });
  assert.throws(() => sender.trySendMany(messages), { code: 'USAGE_WRONG_MODE' });
  loan?.release();
  assert.equal(receiver.tryReceive(), null);
});

test('the messages of one sendMany stand together, and what is sent after it comes after it', async (t) => {
  const { receiver, sender } = pair(t, { capacityBytes: 4096 });
  const many = Array.from({ length: 40 }, (_, i) => Buffer.alloc(i % 7 === 3 ? 3000 : 300, i));
  const sending = [sender.sendMany(many), sender.send('after'), sender.sendMany(['last', 'of all'])];
  assert.equal(sender.trySend('overtakes'), false);
  assert.equal(sender.trySendMany(['overtakes']), 0);
  for (const data of many) assert.deepEqual(await receiver.receive(), data);
  for (const text of ['after', 'last', 'of all']) assert.equal(String(await receiver.receive()), text);
  await Promise.all(sending);
  assert.equal(receiver.tryReceive(), null);
});

test('sendMany that does not get through says how many have gone', async (t) => {
  const { receiver, sender } = pair(t, { capacityBytes: 4096 });
  const sentOf = async (sending: Promise<void>, code: string): Promise<unknown> => {
    const error: unknown = await sending.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof IPCError && error.code === code, String(error));
    return error.details['sent'];
  };
  const drain = (): number => {
    let count = 0;
    while (receiver.tryReceive()) count++;
    return count;
  };
  for (const timeoutMs of [0, 5]) {
    const sent = await sentOf(sender.sendMany(numbered(200), timeoutMs), 'TIME_OUT');
    assert.equal(drain(), sent);
    assert.ok(Number(sent) > 5);
  }
  const abort = new AbortController();
  const aborted = sender.sendMany(numbered(200), { signal: abort.signal });
  abort.abort();
  const sent = await sentOf(aborted, 'TIME_CANCELLED');
  assert.equal(drain(), sent);
  // One that was aborted before sends nothing, as send does not.
  await assert.rejects(sender.sendMany(['a'], { signal: abort.signal }), { code: 'TIME_CANCELLED' });
  assert.equal(drain(), 0);
  const closed = sender.sendMany(numbered(200));
  sender.close();
  assert.equal(await sentOf(closed, 'USAGE_CLOSED'), drain());
});

test('what only looks like bytes, a hole in an array, and memory that was transferred are refused', async (t) => {
  const { receiver, sender } = pair(t);
  const gone = new Uint8Array(100);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  // Memory that has shrunk below the place of the bytes; the types of this target know no such memory.
  const shrinking = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]) as ArrayBuffer & {
    resize(to: number): void;
  };
  const outside = new Uint8Array(shrinking, 4, 4);
  shrinking.resize(2);
  const invalid = { code: 'USAGE_INVALID_OPTION' };
  for (const data of [
    gone,
    gone.buffer,
    outside,
    new Proxy(Buffer.from('abc'), {}),
    Object.create(Uint8Array.prototype),
  ] as Buffer[]) {
    assert.throws(() => sender.trySend(data), invalid);
    await assert.rejects(sender.send(data), invalid);
    await assert.rejects(sender.sendMany(['a', data]), invalid);
    assert.throws(() => sender.trySendMany([Buffer.from('a'), data]), invalid);
  }
  const holes: string[] = ['a'];
  holes[2] = 'c';
  await assert.rejects(sender.sendMany(holes), invalid);
  const proxy = new Proxy(Buffer.alloc(10), {});
  assert.throws(() => receiver.tryReceiveInto(proxy), invalid);
  assert.equal(receiver.tryReceive(), null);
  // Empty is not transferred; shared is as good as one's own.
  const shared = Buffer.from(new SharedArrayBuffer(3)).fill('s');
  for (const data of [new Uint8Array(0), shared, new ArrayBuffer(0)]) assert.ok(sender.trySend(data));
  assert.deepEqual((await receiver.receiveMany(3)).map(String), ['', 'sss', '']);
});

test('where a channel is closed while several sendMany wait, each is told how many of its own have gone', async (t) => {
  const { sender } = pair(t, { capacityBytes: 4096 });
  const waiting = [40, 30].map((count) => sender.sendMany(numbered(count)));
  sender.close();
  const ends = await Promise.allSettled(waiting);
  const told = ends.map((end) => {
    assert.ok(end.status === 'rejected' && end.reason instanceof IPCError);
    assert.equal(end.reason.code, 'USAGE_CLOSED');
    return end.reason.details['sent'] as number;
  });
  assert.ok((told[0] ?? 0) > 0);
  assert.equal(told[1], 0);
});

test('bytes that are transferred while they wait are refused, and nothing empty comes in their place', async (t) => {
  const { receiver, sender } = pair(t, { capacityBytes: 4096 });
  let before = 0;
  while (sender.trySend(Buffer.alloc(500, before))) before++;
  const [one, large, many] = [new Uint8Array(500), new Uint8Array(50_000), new Uint8Array(500)];
  const results = Promise.allSettled([
    sender.send(one),
    sender.send(large),
    sender.sendMany([Buffer.from('sent'), many]),
    sender.send('last'),
  ]);
  for (const { buffer } of [one, large, many]) structuredClone(buffer, { transfer: [buffer] });
  for (let i = 0; i < before; i++) assert.equal((await receiver.receive())[0], i);
  assert.equal(String(await receiver.receive()), 'sent');
  assert.equal(String(await receiver.receive()), 'last');
  assert.deepEqual(
    (await results).map((result) => (result.status === 'rejected' ? (result.reason as IPCError).code : 'sent')),
    ['USAGE_INVALID_OPTION', 'USAGE_INVALID_OPTION', 'USAGE_INVALID_OPTION', 'sent'],
  );
});

test('a loan whose memory was transferred is refused and sends nothing', async (t) => {
  const { receiver, sender } = pair(t);
  const loan = sender.loan(100);
  const { buffer } = loan.data;
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  await assert.rejects(loan.commit(), { code: 'USAGE_RELEASED' });
  assert.equal(receiver.tryReceive(), null);
  assert.ok(sender.trySend('next'));
});

test('what is wrong with one message that waits is said to who sent it, not to who sends synchronously', async (t) => {
  const { receiver, sender } = pair(t, { capacityBytes: 4096 });
  while (sender.trySend(Buffer.alloc(500)));
  const first = sender.send(Buffer.alloc(500));
  const gone = new Uint8Array(10);
  const refused = assert.rejects(sender.send(gone), { code: 'USAGE_INVALID_OPTION' });
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  while (receiver.tryReceive());
  sender.sendSync('third', 60_000);
  await first;
  await refused;
});
