// A process that takes part in a channel as its argument says, for the tests between processes. It writes
// one JSON line for each thing that happened.

import type { Socket } from 'node:net';
import { IPCError } from '../../src/base/errors.ts';
import { ChannelType, ConnMode, IPCChannel, type ShmChannelOptions } from '../../src/shm/index.ts';
import { makeMessage, OrderCheck, readMessage, sizeOf, spreadSize } from './content.ts';

export interface MemberTask {
  readonly what:
    | 'send'
    | 'receive'
    | 'tally'
    | 'hold'
    | 'hold-view'
    | 'send-forever'
    | 'receive-forever'
    | 'send-and-exit'
    | 'echo';
  readonly name: string;
  readonly type?: ChannelType;
  readonly count?: number;
  readonly sender?: number;
  readonly maxBytes?: number;
  /** Instead of `maxBytes`: as many of each order of magnitude between these. */
  readonly sizes?: { readonly from: number; readonly to: number };
  readonly options?: ShmChannelOptions;
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function sendAll(channel: IPCChannel, task: MemberTask, count: number): Promise<void> {
  const sender = task.sender ?? 1;
  for (let number = 0; number < count; number++) {
    const bytes = task.sizes
      ? spreadSize(sender, number, task.sizes.from, task.sizes.to)
      : sizeOf(sender, number, task.maxBytes ?? 256);
    await channel.send(makeMessage(sender, number, bytes));
  }
}

async function receiveAll(channel: IPCChannel, count: number): Promise<OrderCheck> {
  const order = new OrderCheck();
  for (let received = 0; received < count; received++) order.accept(readMessage(await channel.receive()));
  return order;
}

/** What came up to message number `count - 1`, and what was missed; or the code with which it ended. */
async function tally(channel: IPCChannel, count: number): Promise<object> {
  let received = 0;
  try {
    for (let number = -1; number < count - 1; received++) number = readMessage(await channel.receive()).number;
  } catch (error) {
    return { ended: error instanceof IPCError ? error.code : String(error), received };
  }
  return { received, missed: channel.missedCount };
}

const SENDS = new Set(['send', 'send-forever', 'send-and-exit']);

async function run(task: MemberTask): Promise<void> {
  const mode =
    task.what === 'echo' || task.what === 'hold-view'
      ? ConnMode.BOTH
      : SENDS.has(task.what)
        ? ConnMode.SENDER
        : ConnMode.RECEIVER;
  const channel = new IPCChannel(task.type ?? ChannelType.CHANNEL, task.name, mode, task.options ?? {});
  say({ ready: true });
  switch (task.what) {
    case 'send':
      await sendAll(channel, task, task.count ?? 0);
      say({ sent: task.count });
      break;
    case 'send-and-exit':
      await sendAll(channel, task, task.count ?? 0);
      process.exit(0);
      break;
    case 'send-forever':
      await sendAll(channel, task, Number.POSITIVE_INFINITY);
      break;
    case 'receive':
      say({ digest: (await receiveAll(channel, task.count ?? 0)).digest });
      break;
    case 'tally':
      say({ tally: await tally(channel, task.count ?? 0) });
      break;
    case 'hold-view': {
      await channel.send(makeMessage(9, 0, 5000));
      const view = channel.tryReceiveView();
      say({ inRing: view?.inRing });
      process.exit(0);
      break;
    }
    case 'receive-forever':
      await receiveAll(channel, Number.POSITIVE_INFINITY);
      break;
    case 'echo':
      for await (const message of channel) await channel.send(message);
      break;
    case 'hold':
      setInterval(() => undefined, 1000);
      return;
  }
  channel.close();
}

// Its end is the end of whoever gave the task; waiting for it keeps nobody alive.
process.stdin.on('end', () => process.exit(1)).resume();
(process.stdin as Socket).unref();

await run(JSON.parse(process.argv[2] ?? '{}') as MemberTask);
