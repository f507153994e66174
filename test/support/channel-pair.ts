// A receiver and a sender on a shared-memory channel of their own, closed when the test ends.

import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, type ShmChannelOptions } from '../../src/shm/index.ts';

interface Pair {
  readonly receiver: IPCChannel;
  readonly sender: IPCChannel;
}

export function pair(t: TestContext, options: ShmChannelOptions = {}, type: ChannelType = ChannelType.CHANNEL): Pair {
  const name = `test.program.${randomUUID()}`;
  const receiver = new IPCChannel(type, name, ConnMode.RECEIVER, options);
  const sender = new IPCChannel(type, name, ConnMode.SENDER, options);
  t.after(() => {
    receiver.close();
    sender.close();
  });
  return { receiver, sender };
}

/** So many messages of 100 bytes, each filled with its number. */
export const numbered = (count: number): Buffer[] => Array.from({ length: count }, (_, i) => Buffer.alloc(100, i));
