// @ts-check
// How each figure is obtained: which processes there are, what they do, and what is counted.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from './processes.mjs';

/** Bounds of what is under way to the slowest receiver when a party has no backpressure of its own. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOW_MESSAGES = 16_384;
/** A receiver whose count has not moved for so long has got what it will get. */
const QUIET_MS = 1_500;
const IDLE_WARM_UP = 50;

/**
 * @typedef {object} Cell one line of a table
 * @property {'roundtrip' | 'requests' | 'oneway' | 'fanout' | 'idle'} scenario
 * @property {import('./parties.mjs').Candidate} party
 * @property {import('./adapters/adapter.mjs').Transport} transport
 * @property {import('./adapters/adapter.mjs').Topology} topology
 * @property {number} sizeBytes
 * @property {number} subscribers
 * @property {boolean} ownProcesses each subscriber in a process of its own
 *
 * @typedef {object} Timing
 * @property {number} warmUpMs
 * @property {number} durationMs
 * @property {number} idleConnections
 * @property {string | undefined} profileDirectory
 */

/** @type {Record<Cell['scenario'], import('./adapters/adapter.mjs').Work>} */
export const WORK = { roundtrip: 'request', requests: 'request', oneway: 'oneway', fanout: 'fanout', idle: 'idle' };

/** @param {Cell} cell */
export function label({ scenario, party, transport, topology, sizeBytes, subscribers, ownProcesses }) {
  const fan = scenario === 'fanout' ? `-${subscribers}${ownProcesses ? 'p' : ''}` : '';
  return `${scenario}-${party.name}-${transport}-${topology}-${sizeBytes}${fan}`;
}

/**
 * @param {Cell} cell
 * @param {Timing} timing
 * @returns {Promise<Record<string, number>>}
 */
export async function measure(cell, timing) {
  const directory = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  /** @type {Worker[]} */
  const workers = [];
  const hire = async (/** @type {string} */ role) => {
    const profile = timing.profileDirectory;
    const execArgv =
      profile === undefined
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${label(cell)}-${role}.cpuprofile`];
    const env = cell.party.variant === 'pure' ? { WS_NO_BUFFER_UTIL: '1' } : {};
    const worker = new Worker(role, execArgv, env);
    workers.push(worker);
    await worker.ask('load', { file: cell.party.file });
    return worker;
  };
  const { adapter, variant } = cell.party;
  const work = WORK[cell.scenario];
  const windowMessages = adapter.paced?.(variant, work)
    ? Math.max(4, Math.min(WINDOW_MESSAGES, Math.floor(WINDOW_BYTES / cell.sizeBytes)))
    : 0;
  /** @type {import('./adapters/adapter.mjs').Task} */
  const setting = {
    transport: cell.transport,
    topology: cell.topology,
    work,
    variant,
    directory,
    path: join(directory, 'hub.sock'),
    host: '127.0.0.1',
    port: 0,
    sizeBytes: cell.sizeBytes,
    subscribers: cell.subscribers,
    kind: adapter.payload?.(variant) ?? 'bytes',
    count: 1,
    windowMessages,
    markEvery: Math.ceil(windowMessages / 8),
  };
  try {
    if (work === 'request') return await requests(cell, timing, setting, hire);
    if (work === 'idle') return await idle(timing, setting, hire);
    return await flow(cell, timing, setting, hire);
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * @param {Cell} cell
 * @param {Timing} timing
 * @param {import('./adapters/adapter.mjs').Task} setting
 * @param {(role: string) => Promise<Worker>} hire
 */
async function requests(cell, { warmUpMs, durationMs }, setting, hire) {
  const hub = await hire('hub');
  setting.port = /** @type {number} */ (await hub.ask('serve', setting));
  const client = await hire('client');
  await client.ask('requester', setting);
  const outstanding = cell.scenario === 'roundtrip' ? 1 : 100;
  const cpu = await cpuClock(cell, [hub, client]);
  const result = /** @type {Record<string, number>} */ (
    await client.ask('requests', { ...setting, outstanding, warmUpMs, durationMs })
  );
  return { ...result, cpuUs: (await cpu()) / (result['total'] ?? 0) };
}

/**
 * One-way and fan-out: receivers count on their own clock, over a window in the middle of the flow; afterwards the
 * sender stops, the flow drains, and what was sent is compared with what arrived.
 * @param {Cell} cell
 * @param {Timing} timing
 * @param {import('./adapters/adapter.mjs').Task} setting
 * @param {(role: string) => Promise<Worker>} hire
 */
async function flow(cell, { warmUpMs, durationMs }, setting, hire) {
  const hub = await hire('hub');
  setting.port = /** @type {number} */ (await hub.ask('serve', setting));
  const direct = cell.topology === 'direct';
  /** @type {Worker[]} */
  const receivers = [];
  const { separate = false } = cell.party.adapter;
  if (cell.scenario === 'oneway' && direct && !separate) receivers.push(hub);
  else if (!separate) {
    const processes = cell.ownProcesses ? cell.subscribers : 1;
    for (let i = 0; i < processes; i++) receivers.push(await hire(`receiver${i}`));
    const count = cell.subscribers / processes;
    for (const receiver of receivers) await receiver.ask('receivers', { ...setting, count });
  }
  const source = cell.scenario === 'fanout' && direct ? hub : await hire('sender');
  if (source !== hub) await source.ask('sender', setting);

  const progress = new Map(receivers.map((receiver) => [receiver, 0]));
  for (const receiver of receivers) {
    receiver.onProgress = (count) => {
      progress.set(receiver, count);
      source.tell({ acknowledged: Math.min(...progress.values()) });
    };
  }
  const counting = receivers.length > 0 ? receivers : [source];
  const tallies = async () => {
    const each = await Promise.all(counting.map((worker) => worker.ask('tallies')));
    return /** @type {import('./adapters/adapter.mjs').Tally[][]} */ (each).flat();
  };

  await source.ask('start', setting);
  await delay(warmUpMs);
  const cpu = await cpuClock(cell, [...new Set([hub, source, ...receivers])]);
  const before = await tallies();
  await delay(durationMs);
  const after = await tallies();
  const usedUs = await cpu();
  const sent = /** @type {number} */ (await source.ask('stop')) * cell.subscribers;
  const settled = await drain(tallies, sent);

  let perSecond = 0;
  let arrived = 0;
  after.forEach((tally, i) => {
    const earlier = before[i];
    if (earlier === undefined) return;
    arrived += tally.received - earlier.received;
    perSecond += ((tally.received - earlier.received) * 1000) / (tally.atMs - earlier.atMs);
  });
  return {
    perSecond,
    megabytesPerSecond: (perSecond * cell.sizeBytes) / 1e6,
    cpuUs: usedUs / arrived,
    sent,
    lost: sent - settled.received,
    corrupt: settled.corrupt,
  };
}

/**
 * Processor time of all processes together: unlike the rates, it hardly depends on what else the machine does.
 * @param {Cell} cell
 * @param {Worker[]} workers
 * @returns {Promise<() => Promise<number>>} microseconds since the call
 */
async function cpuClock(cell, workers) {
  // Children of the party's own are not seen.
  if (cell.party.adapter.separate === true) return async () => Number.NaN;
  const total = async () => {
    const each = await Promise.all(workers.map((worker) => worker.ask('cpu')));
    return /** @type {number[]} */ (each).reduce((sum, us) => sum + us, 0);
  };
  const start = await total();
  return async () => (await total()) - start;
}

/**
 * @param {() => Promise<import('./adapters/adapter.mjs').Tally[]>} tallies
 * @param {number} expected
 */
async function drain(tallies, expected) {
  let last = -1;
  let movedAtMs = Date.now();
  for (;;) {
    const all = await tallies();
    const received = all.reduce((sum, tally) => sum + tally.received, 0);
    const corrupt = all.reduce((sum, tally) => sum + tally.corrupt, 0);
    if (received >= expected) return { received, corrupt };
    if (received !== last) movedAtMs = Date.now();
    else if (Date.now() - movedAtMs > QUIET_MS) return { received, corrupt };
    last = received;
    await delay(50);
  }
}

/**
 * What one more connection costs on each side, after a few have paid for what is shared.
 * @param {Timing} timing
 * @param {import('./adapters/adapter.mjs').Task} setting
 * @param {(role: string) => Promise<Worker>} hire
 */
async function idle({ idleConnections }, setting, hire) {
  const hub = await hire('hub');
  setting.port = /** @type {number} */ (await hub.ask('serve', setting));
  const client = await hire('client');
  await client.ask('idle', { ...setting, count: IDLE_WARM_UP });
  await delay(500);
  const before = { hub: await memory(hub), client: await memory(client) };
  await client.ask('idle', { ...setting, count: idleConnections });
  await delay(1_000);
  const after = { hub: await memory(hub), client: await memory(client) };
  return {
    hubRssBytes: (after.hub.rss - before.hub.rss) / idleConnections,
    hubHeapBytes: (after.hub.heap - before.hub.heap) / idleConnections,
    clientRssBytes: (after.client.rss - before.client.rss) / idleConnections,
    clientHeapBytes: (after.client.heap - before.client.heap) / idleConnections,
  };
}

/**
 * @param {Worker} worker
 * @returns {Promise<{ rss: number, heap: number }>} heap is not a number when another program holds the connections
 */
async function memory(worker) {
  const own = /** @type {{ rss: number, heap: number, pid?: number }} */ (await worker.ask('memory'));
  if (own.pid === undefined) return own;
  const status = await readFile(`/proc/${own.pid}/status`, 'utf8');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kilobytes === undefined) throw new Error('no VmRSS in the status of the process');
  return { rss: Number(kilobytes) * 1024, heap: Number.NaN };
}
