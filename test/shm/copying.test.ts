// Where external buffers are forbidden, as in Electron, views and loans are copies that behave the same.
// The addon reads this when it is first asked for a buffer, and each test file is a process of its own.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel } from '../../src/shm/index.ts';
import { makeMessage, readMessage } from './content.ts';
import { nothingLeft, uniqueName } from './processes.ts';

process.env['ISTHMUS_NO_EXTERNAL_BUFFERS'] = '1';

function pair(t: TestContext, name: string): [IPCChannel, IPCChannel] {
  const options = { capacityBytes: 16_384 };
  const receiver = new IPCChannel(ChannelType.ROUTE, name, ConnMode.RECEIVER, options);
  const sender = new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, options);
  t.after(() => {
    receiver.close();
    sender.close();
  });
  return [receiver, sender];
}

test('without external buffers a view is a copy: it holds nothing up, and shows nothing after its release', async (t) => {
  const name = uniqueName('copies');
  const [receiver, sender] = pair(t, name);
  assert.ok(sender.trySend(makeMessage(1, 0, 4900)));
  const first = receiver.tryReceiveView();
  assert.equal(first?.inRing, false);
  assert.equal(first.sequence, 0);
  // Ten rings pass while the view is kept.
  for (let number = 1; number <= 200; number++) {
    assert.ok(sender.trySend(makeMessage(1, number, 900)));
    using view = receiver.tryReceiveView();
    assert.equal(view?.sequence, number);
    assert.deepEqual(readMessage(view.data), { sender: 1, number });
  }
  assert.deepEqual(readMessage(first.data), { sender: 1, number: 0 });
  const kept = first.data;
  first.release();
  first.release();
  assert.equal(kept.length, 0);
  assert.throws(() => first.data, { code: 'USAGE_RELEASED' });
  assert.equal(receiver.tryReceiveView(), undefined);
  assert.ok(sender.trySend(''));
  assert.equal(receiver.tryReceiveView()?.data.length, 0);
  assert.ok(sender.trySend(makeMessage(1, 201, 100)));
  const last = receiver.tryReceiveView();
  assert.equal(last?.data.length, 100);
  receiver.close();
  assert.throws(() => last.data, { code: 'USAGE_RELEASED' });
  sender.close();
  await nothingLeft(name);
});

test('without external buffers large messages come as they do elsewhere', async (t) => {
  const [receiver, sender] = pair(t, uniqueName('copies'));
  const message = makeMessage(1, 0, 1_000_000);
  const [data] = await Promise.all([receiver.receive(), sender.send(message)]);
  assert.ok(data.equals(message));
  assert.ok(sender.trySend(makeMessage(1, 1, 6000)));
  const view = receiver.tryReceiveView();
  assert.equal(view?.inRing, false);
  assert.deepEqual(readMessage(view.data), { sender: 1, number: 1 });
  const kept = view.data;
  view.release();
  assert.equal(kept.length, 0);
});

test('without external buffers a loan is private memory, and commit sends it', async (t) => {
  const [receiver, sender] = pair(t, uniqueName('copies'));
  for (let number = 0; number < 60; number++) {
    const loan = sender.loan(1000);
    assert.equal(loan.inRing, false);
    loan.data.set(makeMessage(1, number, 700));
    await loan.commit(700);
    assert.throws(() => loan.data, { code: 'USAGE_RELEASED' });
    assert.deepEqual(readMessage(await receiver.receive()), { sender: 1, number });
    sender.loan(1000).release();
  }
  assert.equal(receiver.tryReceive(), null);
});

test('without external buffers memory of received messages is not transferred with a message to a worker', (t) => {
  const [receiver, sender] = pair(t, uniqueName('copies'));
  for (let i = 0; i < 5; i++) assert.ok(sender.trySend(Buffer.alloc(100, i)));
  const first = receiver.tryReceive();
  try {
    structuredClone(first, { transfer: [first?.buffer as ArrayBuffer] });
  } catch {
    // Newer versions of Node say so, older ones make a copy.
  }
  assert.deepEqual(first, Buffer.alloc(100, 0));
  for (let i = 1; i < 5; i++) assert.deepEqual(receiver.tryReceive(), Buffer.alloc(100, i));
});
