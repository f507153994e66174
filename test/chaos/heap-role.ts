// What a process holds after thousands of the same: measured in a process of its own, with the collector at
// hand. Server and client live in it together, so that neither can keep anything unseen.

import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { IPCClient } from '../../src/client/index.ts';
import { IPCServer } from '../../src/server/index.ts';
import type { ActorOrder, Stage } from './orders.ts';
import { leftovers } from './leftovers.ts';

/**
 * A leak grows with what is done; what the engine itself keeps or drops, some ten kilobytes, does not. So each
 * round does twice as much as the one before, until too little is left of the growth for each to be a leak.
 */
const ROUNDS_MAX = 6;

type HeapOrder = Extract<ActorOrder, { readonly role: 'heap' }>;

interface Scene {
  readonly client: IPCClient;
  readonly server: IPCServer;
  /** Lives as long as the program, as a user's own does. */
  readonly signal: AbortSignal;
  connect(): Promise<IPCClient>;
}

/** Each is done thousands of times, with a number that never comes again. */
export const HABITS: Readonly<Record<string, (scene: Scene, n: number) => Promise<unknown>>> = {
  'connect and disconnect': async ({ connect }) => {
    const made = await connect();
    await made.disconnect();
  },
  'connect, be lost': async ({ connect, server }) => {
    const made = await connect();
    const lost = new Promise((resolve) => made.onDisconnected(resolve));
    server.connectionManager.getConnection(made.connectionId as string)?.close();
    await lost;
    await made.disconnect();
  },
  'subscribe with a signal and unsubscribe': async ({ client, signal }) => {
    const subscription = await client.subscribe('news', () => undefined, { signal });
    await subscription.unsubscribe();
  },
  'subscribe and unsubscribe under new names, patterns too': async ({ client }, n) => {
    const [channel, pattern] = await Promise.all([client.subscribe(`news.${n}`), client.subscribe(`of.${n}.*`)]);
    await Promise.all([channel.unsubscribe(), pattern.unsubscribe()]);
  },
  'call with a signal': ({ client, signal }, n) => client.call('echo', n, { signal }),
  'call and cancel': async ({ client }, n) => {
    const controller = new AbortController();
    const call = client.call('never', n, { signal: controller.signal, timeout: 0 });
    await client.ping();
    controller.abort();
    await call.catch(() => undefined);
  },
  'leave a stream': async ({ client, signal }) => {
    for await (const item of client.stream('count', 10, { signal })) if (item === 3) break;
  },
  'publish under new names': ({ client }, n) => client.publishConfirmed(`name.${n}`, n),
  'ask under new names': ({ client }, n) => client.call(`nobody.${n}`, n).catch(() => undefined),
  'serve and stop serving': async ({ client }) => {
    const service = await client.serve('work', () => 1);
    await client.call('work', 1);
    await service.unserve();
  },
  'wait for a message with a signal': async ({ client, signal }, n) => {
    const waiting = client.waitForMessage('once', 0, { signal });
    while ((await client.publishConfirmed('once', n)) === 0);
    await waiting;
  },
};

async function usedBytes(): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('start with --expose-gc');
  // What sockets held is let go by finalizers, which have their turn between two looks.
  for (let look = 0; look < 3; look += 1) {
    gc();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

export async function runHeap(order: HeapOrder, stage: Stage): Promise<void> {
  const habit = HABITS[order.habit];
  if (habit === undefined) throw new Error(`no habit ${order.habit}`);
  const server = new IPCServer({ path: order.path });
  const app = server.createApplication('test', 'heap');
  app.createChannel('echo').setHandler('request', ({ payload }) => payload);
  app
    .createChannel('never')
    .setHandler('request', ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)));
  app.createChannel('count').setHandler('request', async function* ({ payload }) {
    for (let i = 0; i < (payload as number); i += 1) yield i;
  });
  await server.start();
  const { signal } = new AbortController();
  const connect = async () => {
    const made = new IPCClient('test', { path: order.path, reconnect: false, signal });
    made.onError(() => undefined);
    await made.connect();
    return made;
  };
  const client = await connect();
  const listenersBefore = getEventListeners(signal, 'abort').length;
  let n = 0;
  const round = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i += 1) await habit({ client, server, signal, connect }, n++);
    // The server may hear of the last one's leaving a moment later, and of what was cancelled.
    do await client.ping();
    while (server.getStats().totalConnections > 1);
    app.sweep();
  };
  await round(order.times);
  let leastGrowth = Number.POSITIVE_INFINITY;
  for (let i = 0; i < ROUNDS_MAX && leastGrowth >= order.bytesEachMax; i += 1) {
    const times = order.times * 2 ** i;
    const before = await usedBytes();
    await round(times);
    leastGrowth = Math.min(leastGrowth, ((await usedBytes()) - before) / times);
  }
  const listeners = getEventListeners(signal, 'abort').length - listenersBefore;
  const { channelCount } = app;
  stage.say({ heap: { leastGrowth, listeners, channelCount, ...leftovers(server) } });
  await client.disconnect();
  await server.stop();
}
