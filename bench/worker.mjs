// @ts-check
// The entry of every measured process. It loads one adapter and plays the roles that the harness asks for.

import { readFile } from 'node:fs/promises';
import { createHistogram, performance } from 'node:perf_hooks';
import { loadAdapter } from './parties.mjs';
import { Counter, makePayload } from './payload.mjs';

/** @typedef {import('./adapters/adapter.mjs').Task} Task */

/** Bytes that a sender makes in one turn of the event loop. */
const BURST_BYTES = 256 * 1024;
const BURST_MESSAGES = 512;
/** Linux counts the processor time of a process in hundredths of a second. */
const TICK_US = 10_000;

/** @type {import('./adapters/adapter.mjs').Adapter} */
let adapter;
/** @type {import('./adapters/adapter.mjs').Hub | undefined} */
let hub;
/** @type {import('./adapters/adapter.mjs').Sender | undefined} */
let sender;
/** @type {import('./adapters/adapter.mjs').Requester | undefined} */
let requester;
/** @type {{ close(): void | Promise<unknown> }[]} */
const open = [];
/** @type {Counter[]} */
const counters = [];

/** @type {{ stopped: boolean, sent: number, acknowledged: number, moved: () => void, ended: Promise<void> }} */
const pumping = { stopped: true, sent: 0, acknowledged: 0, moved: () => undefined, ended: Promise.resolve() };

/** How many receivers of this process have passed the n-th mark. */
/** @type {Map<number, number>} */
const marks = new Map();

/** @param {Task} setting */
function newCounter(setting) {
  const counter = new Counter(setting.kind, setting.sizeBytes, setting.markEvery, (mark) => {
    const passed = (marks.get(mark) ?? 0) + 1;
    marks.set(mark, passed);
    if (passed < setting.count) return;
    marks.delete(mark);
    process.send?.({ progress: mark * setting.markEvery });
  });
  counters.push(counter);
  return counter;
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * @param {import('./adapters/adapter.mjs').Sender} from
 * @param {Task} input
 */
async function pump(from, { sizeBytes, kind, windowMessages }) {
  const payload = makePayload(kind, sizeBytes);
  const window = windowMessages > 0 ? windowMessages : Number.POSITIVE_INFINITY;
  const burst = Math.max(1, Math.min(BURST_MESSAGES, Math.floor(BURST_BYTES / sizeBytes)));
  while (!pumping.stopped) {
    for (let i = 0; i < burst; i++) {
      while (pumping.sent - pumping.acknowledged >= window && !pumping.stopped) {
        await /** @type {Promise<void>} */ (new Promise((resolve) => (pumping.moved = resolve)));
      }
      const wait = from.send(payload);
      pumping.sent += 1;
      if (wait !== undefined) await wait;
    }
    await nextTurn();
  }
}

/**
 * Closed loop: `outstanding` requests are always under way.
 * @param {import('./adapters/adapter.mjs').Requester} client
 * @param {{ sizeBytes: number, kind: 'bytes' | 'text', outstanding: number, warmUpMs: number, durationMs: number }} input
 */
function runRequests(client, { sizeBytes, kind, outstanding, warmUpMs, durationMs }) {
  const payload = makePayload(kind, sizeBytes);
  const replies = new Counter(kind, sizeBytes, 0, () => undefined);
  const histogram = createHistogram();
  const single = outstanding === 1;
  return new Promise((resolve) => {
    let measuring = false;
    let stopping = false;
    let under = outstanding;
    let count = 0;
    let total = 0;
    let sentAtMs = 0;
    let startMs = 0;
    let result = {};
    const done = (/** @type {import('./adapters/adapter.mjs').Payload} */ reply) => {
      replies.receive(reply, 0, reply.length);
      total += 1;
      if (measuring) {
        count += 1;
        // One at a time there is one clock to read; with many outstanding only the rate is asked for.
        if (single) histogram.record(Math.max(1, Math.round((performance.now() - sentAtMs) * 1e6)));
      }
      if (stopping) {
        under -= 1;
        if (under === 0) resolve({ ...result, total, corrupt: replies.corrupt });
        return;
      }
      if (single) sentAtMs = performance.now();
      client.request(payload, done);
    };
    setTimeout(() => {
      measuring = true;
      histogram.reset();
      startMs = performance.now();
      setTimeout(() => {
        const seconds = (performance.now() - startMs) / 1000;
        measuring = false;
        stopping = true;
        result = {
          perSecond: count / seconds,
          p50Us: histogram.percentile(50) / 1000,
          p99Us: histogram.percentile(99) / 1000,
        };
      }, durationMs);
    }, warmUpMs);
    sentAtMs = performance.now();
    for (let i = 0; i < outstanding; i++) client.request(payload, done);
  });
}

/** Microseconds of processor time that this worker has used, and the program that it started to hold the connections. */
async function cpu() {
  const { user, system } = process.cpuUsage();
  if (hub?.pid === undefined) return user + system;
  const fields = (await readFile(`/proc/${hub.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return user + system + (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function memory() {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { pid: hub?.pid, rss, heap: heapUsed + external };
}

/** @type {Record<string, { of(input: object): unknown }['of']>} */
const commands = {
  async load(/** @type {{ file: string }} */ { file }) {
    adapter = await loadAdapter(file);
    return adapter.version();
  },
  async serve(/** @type {Task} */ setting) {
    const counter = setting.work === 'oneway' && setting.topology === 'direct' ? newCounter(setting) : undefined;
    hub = await adapter.serve(setting, counter?.receive ?? (() => undefined));
    sender = hub.sender;
    return hub.port ?? setting.port;
  },
  async requester(/** @type {Task} */ setting) {
    requester = await adapter.requester?.(setting);
  },
  async sender(/** @type {Task} */ setting) {
    sender = await adapter.sender?.(setting);
  },
  async receivers(/** @type {Task} */ setting) {
    for (let i = 0; i < setting.count; i++) {
      const receiver = await adapter.receiver?.(setting, newCounter(setting).receive);
      if (receiver !== undefined) open.push(receiver);
    }
  },
  async idle(/** @type {Task} */ setting) {
    for (let i = 0; i < setting.count; i++) {
      const connection = await adapter.idle?.(setting);
      if (connection !== undefined) open.push(connection);
    }
  },
  requests(/** @type {Parameters<typeof runRequests>[1]} */ input) {
    if (requester === undefined) throw new Error('no requester');
    return runRequests(requester, input);
  },
  start(/** @type {Task} */ input) {
    if (sender === undefined) throw new Error('no sender');
    pumping.stopped = false;
    pumping.ended = pump(sender, input);
    pumping.ended.catch((error) => {
      console.error(error);
      process.exit(1);
    });
  },
  async stop() {
    pumping.stopped = true;
    pumping.moved();
    await pumping.ended;
    return pumping.sent;
  },
  async tallies() {
    const atMs = performance.now();
    const own = counters.map(({ received, corrupt }) => ({ received, corrupt, atMs }));
    return [...own, ...((await sender?.tallies?.()) ?? [])];
  },
  memory,
  cpu,
  async end() {
    setTimeout(() => process.exit(0), 2000).unref();
    for (const one of open) await one.close();
    await requester?.close();
    await sender?.close();
    await hub?.close();
    setImmediate(() => process.exit(0));
  },
};

/** @param {{ id: number, command: string, input: object }} message */
async function answer({ id, command, input }) {
  try {
    process.send?.({ id, result: await commands[command]?.(input) });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

process.on(
  'message',
  (/** @type {{ acknowledged: number } | { id: number, command: string, input: object }} */ message) => {
    if ('acknowledged' in message) {
      pumping.acknowledged = message.acknowledged;
      pumping.moved();
    } else void answer(message);
  },
);
process.on('disconnect', () => process.exit(1));
