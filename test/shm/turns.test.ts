// Who gets which message, when several wait for one and each receives in a way of his own.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, IPCStatus, type ShmChannelOptions } from '../../src/shm/index.ts';
import { uniqueName } from './processes.ts';

const FOREVER = { timeoutMs: 60_000 };

function opener(t: TestContext, options: ShmChannelOptions = {}): (mode: ConnMode) => IPCChannel {
  const name = uniqueName('turns');
  return (mode) => {
    const channel = new IPCChannel(ChannelType.CHANNEL, name, mode, options);
    t.after(() => channel.close());
    return channel;
  };
}

test('calls at once are served in the order in which they were made', async (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const count = 200;
  const receiving = Array.from({ length: count }, () => receiver.receive(FOREVER));
  const sending = Array.from({ length: count }, (_, i) => sender.send(String(i).padEnd(i % 90 === 7 ? 3000 : 100)));
  const received = (await Promise.all(receiving)).map((data) => Number(data.toString()));
  assert.deepEqual(
    received,
    Array.from({ length: count }, (_, i) => i),
  );
  await Promise.all(sending);
  // Who asks for one comes before handlers; two handlers get the same.
  const seen: string[] = [];
  const stops = ['a', 'b'].map((who) => receiver.onMessage((data) => seen.push(who + data.toString())));
  const asked = receiver.receive(FOREVER);
  await sender.sendMany(['1', '2']);
  assert.equal((await asked).toString(), '1');
  while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen, ['a2', 'b2']);
  for (const stop of [...stops, ...stops]) stop();
});

test('whoever waits is served in his turn, whichever way he receives', async (t) => {
  const open = opener(t, { capacityBytes: 65_536 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const wanted = 300;
  const first = (data: Uint8Array): number => Buffer.from(data.buffer, data.byteOffset).readUInt32LE(0);
  const viaReceive = async (): Promise<number> => first(await receiver.receive(FOREVER));
  const viaInto = async (): Promise<number> => {
    const place = Buffer.alloc(70_000);
    return first(place.subarray(0, await receiver.receiveInto(place, FOREVER)));
  };
  const viaView = async (): Promise<number> => {
    using view = await receiver.receiveView(FOREVER);
    return first(view.data);
  };
  // Small ones, ones that are not copied for a view, and ones that come in chunks.
  const message = (number: number): Buffer => {
    const data = Buffer.alloc([100, 6000, 40_000][(number >>> 1) % 3] ?? 0);
    data.writeUInt32LE(number);
    return data;
  };
  const receiving: Promise<number>[] = [];
  for (let i = 0; receiving.length < wanted; i++) {
    receiving.push(viaReceive(), viaInto(), viaView());
    if (i % 2 === 0) receiving.push(viaInto(), viaReceive(), viaView(), viaView());
  }
  const sending = (async () => {
    for (let i = 0; i < receiving.length; i++) await sender.send(message(i), FOREVER);
  })();
  assert.deepEqual(
    await Promise.all(receiving),
    Array.from({ length: receiving.length }, (_, i) => i),
  );
  await sending;
});

test('a place that is too small is refused to who gave it, and the message is the next one', async (t) => {
  const open = opener(t);
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const gone = Buffer.alloc(100);
  const small = receiver.receiveInto(Buffer.alloc(9), FOREVER);
  const transferred = receiver.receiveInto(gone, FOREVER);
  const enough = Buffer.alloc(10);
  const fits = receiver.receiveInto(enough, FOREVER);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const expected = { code: 'USAGE_INVALID_OPTION', statusCode: IPCStatus.INVALID_ARGUMENT };
  const refused = [small, transferred].map((promise) => assert.rejects(promise, expected));
  await sender.send('ten bytes!');
  await Promise.all(refused);
  assert.equal(await fits, 10);
  assert.equal(enough.toString(), 'ten bytes!');
  await sender.send('once more!');
  assert.throws(() => receiver.tryReceiveInto(Buffer.alloc(9)), { code: 'USAGE_INVALID_OPTION' });
  assert.throws(() => receiver.tryReceiveInto(gone), { code: 'USAGE_INVALID_OPTION' });
  assert.equal(receiver.tryReceiveInto(enough), 10);
  assert.equal(receiver.tryReceiveInto(enough), null);
  await sender.send('');
  assert.equal(receiver.tryReceiveInto(new Uint8Array(0)), 0);
  const waiting = [receiver.receiveInto(enough), receiver.receiveView()];
  receiver.close();
  for (const one of waiting) await assert.rejects(one, { code: 'USAGE_CLOSED' });
});
