// A worker thread that sends with calls that block it; or, with a count of -1, receives until it is terminated.

import { workerData } from 'node:worker_threads';
import { ChannelType, ConnMode, IPCChannel } from '../../src/shm/index.ts';
import { makeMessage, sizeOf } from './content.ts';

const { name, sender, count } = workerData as { name: string; sender: number; count: number };

if (count < 0) {
  const channel = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER);
  for (;;) channel.receiveSync();
}
using channel = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER);
for (let number = 0; number < count; number++) {
  channel.sendSync(makeMessage(sender, number, sizeOf(sender, number, 3000)));
}
