// Clients that get killed: one who publishes, one who subscribes, one who asks, one who answers.

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { IPCClient, IPCError } from '../../src/client/index.ts';
import type { ActorOrder, Numbered, Stage } from './orders.ts';

type OrderOf<R extends ActorOrder['role']> = Extract<ActorOrder, { readonly role: R }>;

/** Every so many messages one is large enough to travel in pieces. */
const LARGE_EVERY = 16;
const LARGE_BYTES = 150_000;
const CONFIRM_EVERY = 8;
/** A busy machine leaves one of many processes without its turn for long. */
const PATIENCE_MS = 60_000;
const CALLS_AT_ONCE = 8;

/** What a caller may be told when a worker was killed over its request. */
const WORKER_GONE = new Set(['REMOTE_LOST']);

async function connected({ tag, client }: OrderOf<'publisher' | 'subscriber' | 'caller' | 'worker'>, stage: Stage) {
  const made = new IPCClient('test', {
    reconnect: false,
    connectionTimeout: PATIENCE_MS,
    ...client,
    name: tag,
    will: { channel: 'wills', payload: tag },
  });
  made.onError((error) => stage.say({ fault: `${error.code}: ${error.message}` }));
  made.onConnected(({ connectionId }) => stage.say({ connectionId }));
  await made.connect();
  return made;
}

/** Publishes numbers on all its channels, in step, until told to finish. */
export async function runPublisher(order: OrderOf<'publisher'>, stage: Stage): Promise<void> {
  const client = await connected(order, stage);
  let finishing = false;
  void stage.told('finish').then(() => {
    finishing = true;
  });
  for (let n = 0; ; n += 1) {
    const last = finishing;
    const message: Numbered = { tag: order.tag, n, ...(n % LARGE_EVERY === 7 && { fill: 'x'.repeat(LARGE_BYTES) }) };
    const confirm = last || n % CONFIRM_EVERY === 0;
    for (const channel of order.channels) {
      if (confirm) await client.publishConfirmed(channel, message, { timeout: 0 });
      else {
        await client.publishReady(channel);
        client.publish(channel, message);
      }
    }
    if (confirm) stage.say({ confirmed: n });
    if (last) break;
    await turn();
  }
  await client.disconnect();
}

/** Tells what it has seen once that is what the test expects. */
export async function runSubscriber(order: OrderOf<'subscriber'>, stage: Stage): Promise<void> {
  const client = await connected(order, stage);
  const seen: number[] = [];
  let lost = 0;
  const look = (): void => {
    if (seen.length + lost === order.expected) stage.say({ seen, lost });
  };
  const subscription = await client.subscribe(
    order.pattern,
    async ({ payload }) => {
      if (order.slownessMs > 0) await sleep(order.slownessMs);
      seen.push((payload as Numbered).n);
      look();
    },
    order.options,
  );
  subscription.onLost((count) => {
    lost += count;
    look();
  });
  stage.say({ ready: true });
  await stage.told('finish');
  await client.disconnect();
}

/** Asks without end, several at once; every question must be answered or fail as documented. */
export async function runCaller(order: OrderOf<'caller'>, stage: Stage): Promise<void> {
  const client = await connected(order, stage);
  const finish = new AbortController();
  let answered = 0;
  void stage.told('finish').then(() => finish.abort());
  const ask = async (lane: number): Promise<void> => {
    for (let n = 0; !finish.signal.aborted; n += 1) {
      try {
        const value = lane * 1_000_000 + n;
        if (lane % 4 === 0) await takeStream(client);
        else if (lane % 4 === 1) await abandon(client, n);
        else if ((await client.call('double', value, { timeout: 0 })) !== 2 * value) throw new Error('a wrong answer');
      } catch (thrown) {
        if (!(thrown instanceof IPCError) || !WORKER_GONE.has(thrown.code)) throw thrown;
      }
      answered += 1;
      if (answered % 20 === 0) stage.say({ answered });
      await turn();
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, (_, lane) => ask(lane)));
  await client.disconnect();
}

async function takeStream(client: IPCClient): Promise<void> {
  let expected = 0;
  for await (const item of client.stream('count', 100)) {
    if (item !== expected) throw new Error(`item ${expected} of a stream was ${String(item)}`);
    expected += 1;
    // Half of them are left early: then the handler must be told.
    if (expected === 50 && Math.random() < 0.5) return;
  }
  if (expected !== 100) throw new Error(`a stream ended after ${expected} items`);
}

async function abandon(client: IPCClient, n: number): Promise<void> {
  const controller = new AbortController();
  const call = client.call('never', n, { timeout: 0, signal: controller.signal });
  await client.ping(0);
  controller.abort();
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof IPCError) || error.code !== 'TIME_CANCELLED')
    throw new Error(`not cancelled: ${String(error)}`);
}

/** Answers requests in a work group. */
export async function runWorker(order: OrderOf<'worker'>, stage: Stage): Promise<void> {
  const client = await connected(order, stage);
  await client.serve('double', async ({ payload }) => {
    await sleep(Math.random() * 4);
    return 2 * (payload as number);
  });
  stage.say({ ready: true });
  await stage.told('finish');
  await client.disconnect();
}
