// @ts-check
// Shared memory in one run: from Node to Node, the ring alone from C++ to C++, and a Unix socket in Node.
//
//   npm run build && node bench/shm/run.mjs [--seconds 1] [--runs 3] [--only oneway,fanout,fanin,roundtrip,idle]
//
// Prints Markdown. Ratios are taken within a round, so that all meet the same machine.

import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** @typedef {import('./party.mjs').Task} Task */

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string' },
    runs: { type: 'string' },
    only: { type: 'string' },
    sizes: { type: 'string' },
  },
});
const seconds = Number(flags.seconds ?? 1);
const chosen = flags.sizes?.split(',').map(Number);
const runs = Number(flags.runs ?? 3);
const only = flags.only?.split(',');
const PARTY = fileURLToPath(new URL('./party.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'));
let serial = 0;

class Party {
  #child = fork(PARTY);
  /** @type {Record<string, unknown>[]} */
  #messages = [];
  #wake = () => {};
  /** @param {Partial<Task>} task */
  constructor(task) {
    this.#child.on('message', (message) => {
      this.#messages.push(/** @type {Record<string, unknown>} */ (message));
      this.#wake();
    });
    this.#child.send(task);
  }
  /** @param {string} key @returns {Promise<Record<string, number>>} */
  async says(key) {
    for (;;) {
      const found = this.#messages.find((message) => key in message);
      if (found) return /** @type {Record<string, number>} */ (found);
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
  }
  /** @param {string} message */
  tell(message) {
    this.#child.send(message);
  }
  end() {
    this.#child.kill('SIGKILL');
  }
}

/** @param {string} way */
const nameFor = (way) => (way.startsWith('socket') ? join(folder, `s${serial++}`) : `bench.${process.pid}.${serial++}`);

/** Deliveries a second, summed over the receivers. @param {string} way @param {number} bytes @param {number} senders @param {number} receivers */
async function throughput(way, bytes, senders, receivers) {
  if (way === 'C++')
    return Number(spawnSync(ring, [String(bytes), String(receivers), String(seconds)], { timeout: 30_000 }).stdout);
  const name = nameFor(way);
  const base = { way, bytes, seconds, senders, receivers, wait: 'spin' };
  const socket = way.startsWith('socket');
  const sinks = Array.from(
    { length: receivers },
    (_, i) => new Party(/** @type {Task} */ ({ ...base, role: 'receive', name: socket ? `${name}.${i}` : name })),
  );
  await Promise.all(sinks.map((sink) => sink.says('ready')));
  const sources = Array.from(
    { length: senders },
    () => new Party(/** @type {Task} */ ({ ...base, role: 'send', name })),
  );
  await Promise.all(sources.map((source) => source.says('sent')));
  for (const sink of sinks) sink.tell('report');
  const reports = await Promise.all(sinks.map((sink) => sink.says('count')));
  for (const party of [...sinks, ...sources]) party.end();
  return reports.reduce((sum, r) => sum + ((r['count'] ?? 0) / ((r['last'] ?? 1) - (r['first'] ?? 0))) * 1000, 0);
}

/** @param {string} way @param {'sleep' | 'spin' | 'busy'} wait */
async function roundtrip(way, wait) {
  const task = { way, wait, bytes: 64, seconds, senders: 1, receivers: 1, name: nameFor(way) };
  const answering = new Party({ ...task, role: 'answer' });
  await answering.says('ready');
  const asking = new Party({ ...task, role: 'ask' });
  const times = await asking.says('p50');
  answering.end();
  asking.end();
  return times;
}

const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const show = (/** @type {number} */ n) =>
  n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n >= 1e4 ? `${Math.round(n / 1e3)} k` : String(Math.round(n));
const wanted = (/** @type {string} */ part) => only === undefined || only.includes(part);

/** @param {string} title @param {readonly string[]} ways @param {readonly number[]} allSizes @param {number} senders @param {number} receivers */
async function table(title, ways, allSizes, senders, receivers) {
  const sizes = allSizes.filter((bytes) => chosen === undefined || chosen.includes(bytes));
  console.log(`\n### ${title}\n`);
  console.log(`| way | ${sizes.map((bytes) => `${bytes} B, msg/s | × socket batch`).join(' | ')} |`);
  console.log(`|---|${sizes.map(() => '---|---|').join('')}`);
  /** @type {Map<string, number[]>} */
  const figures = new Map();
  for (let run = 0; run < runs; run++) {
    for (const bytes of sizes) {
      for (const way of ways) {
        const key = `${way} ${bytes}`;
        figures.set(key, [...(figures.get(key) ?? []), await throughput(way, bytes, senders, receivers)]);
      }
    }
  }
  for (const way of ways) {
    const cells = sizes.map((bytes) => {
      const own = figures.get(`${way} ${bytes}`) ?? [];
      const socket = figures.get(`socket batch ${bytes}`) ?? [];
      return `${show(median(own))} | ${socket.length > 0 ? median(own.map((n, i) => n / (socket[i] ?? n))).toFixed(2) : '–'}`;
    });
    console.log(`| ${way} | ${cells.join(' | ')} |`);
  }
}

const ring = join(folder, 'ring');
const root = fileURLToPath(new URL('../..', import.meta.url));
const built = spawnSync(
  'sh',
  [
    '-c',
    `"\${CXX:-c++}" -std=c++17 -O2 -DNDEBUG -pthread native/ring/*.cc native/platform/*.cc bench/shm/ring.cc -o "${ring}"`,
  ],
  { cwd: root, stdio: 'inherit' },
);
const cpp = built.status === 0 ? ['C++'] : [];
console.log(
  `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${runs} runs of ${seconds} s, medians`,
);

if (wanted('oneway'))
  await table(
    '1 → 1',
    [...cpp, 'shm', 'shm batch', 'shm await', 'shm view', 'socket', 'socket batch'],
    [0, 64, 1024, 65_536, 1_048_576],
    1,
    1,
  );
if (wanted('fanout'))
  await table('1 → 4, deliveries', [...cpp, 'shm', 'shm batch', 'socket', 'socket batch'], [64, 1024, 65_536], 1, 4);
if (wanted('fanout'))
  await table('1 → 10, deliveries', [...cpp, 'shm', 'shm batch', 'socket', 'socket batch'], [64, 1024, 65_536], 1, 10);
if (wanted('fanin')) await table('4 → 1', ['shm', 'shm batch'], [64, 1024], 4, 1);
if (wanted('roundtrip')) {
  console.log('\n### Round trip, 64 B\n\n| way | p50 µs | p99 µs |\n|---|---|---|');
  for (const [way, wait] of /** @type {const} */ ([
    ['shm', 'busy'],
    ['shm', 'spin'],
    ['shm', 'sleep'],
    ['socket', 'sleep'],
  ])) {
    const { p50, p99 } = await roundtrip(way, wait);
    console.log(`| ${way}${way === 'shm' ? `, ${wait}` : ''} | ${p50?.toFixed(1)} | ${p99?.toFixed(1)} |`);
  }
}
if (wanted('idle')) {
  console.log('\n### A receiver that waits\n\n| mode | processor, % of one |\n|---|---|');
  for (const wait of /** @type {const} */ (['sleep', 'spin', 'busy'])) {
    const party = new Party({
      role: 'idle',
      way: 'shm',
      wait,
      name: nameFor('shm'),
      bytes: 0,
      seconds: 2,
      senders: 1,
      receivers: 1,
    });
    console.log(`| ${wait} | ${(await party.says('cpuPercent'))['cpuPercent']?.toFixed(2)} |`);
    party.end();
  }
}
rmSync(folder, { recursive: true });
