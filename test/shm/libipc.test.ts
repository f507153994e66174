// Programs as users of libipc write them: its names, its modes, its status codes.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  ChannelType,
  clearChannelStorage,
  ConnMode,
  IPCChannel,
  IPCStatus,
  receiveMessage,
  sendMessage,
} from '../../src/shm/index.ts';
import { Member, uniqueName } from './processes.ts';

function channel(t: TestContext, type: ChannelType, name: string, mode: number): IPCChannel {
  const opened = new IPCChannel(type, name, mode);
  t.after(() => opened.close());
  return opened;
}

test('a route: one sender, many receivers, wait_for_receivers before the first send', async (t) => {
  const name = uniqueName('route');
  const sender = channel(t, ChannelType.ROUTE, name, ConnMode.SENDER);
  const receivers = [1, 2, 3].map(() => channel(t, ChannelType.ROUTE, name, ConnMode.RECEIVER));
  assert.equal(await sender.waitForReceivers(3, 5000), true);
  assert.equal(sender.getReceiverCount(), 3);
  await sender.send(Buffer.from('Hello, World!'));
  for (const receiver of receivers) assert.equal((await receiver.receive(5000)).toString(), 'Hello, World!');
});

test('a channel: everybody sends and receives through one object', async (t) => {
  const name = uniqueName('channel');
  const [alice, bob] = [1, 2].map(() => channel(t, ChannelType.CHANNEL, name, ConnMode.SENDER | ConnMode.RECEIVER));
  assert.ok(alice && bob);
  await alice.send('ping');
  assert.equal((await bob.receive(5000)).toString(), 'ping');
  await bob.send('pong');
  assert.equal((await alice.receive(5000)).toString(), 'pong');
});

test('try_send and try_receive do not wait; errors carry a status code', async (t) => {
  const name = uniqueName('try');
  const both = channel(t, ChannelType.CHANNEL, name, ConnMode.BOTH);
  assert.equal(both.tryReceive(), null);
  assert.equal(both.trySend('nobody hears it', 10), true);
  await assert.rejects(both.receive(10), { statusCode: IPCStatus.TIMEOUT });
  assert.throws(() => new IPCChannel(ChannelType.ROUTE, name), { statusCode: IPCStatus.CONNECTION_FAILED });
  assert.throws(() => new IPCChannel(ChannelType.ROUTE, ''), { code: 'USAGE_INVALID_NAME' });
  both.disconnect();
  assert.equal(both.isConnected, false);
  both.connect(ConnMode.RECEIVER);
  assert.throws(() => both.trySend('x'), { statusCode: IPCStatus.INVALID_ARGUMENT });
});

test('send_message, receive_message and clear_channel_storage', async () => {
  const name = uniqueName('message');
  const sending = new Member({ what: 'send-forever', name, maxBytes: 100 });
  const message = await receiveMessage(name, 60_000, ChannelType.CHANNEL);
  assert.ok(message.length >= 16);
  await sendMessage(name, Buffer.from('one'), ChannelType.CHANNEL);
  assert.equal(clearChannelStorage(name), true);
  await sending.end();
});
