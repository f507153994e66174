// @ts-check
// Shared memory in one run: from Node to Node, the ring alone from C++ to C++, and a Unix socket in Node.
//
//   npm run build && node bench/shm/run.mjs [--help]
//
// Prints Markdown. In each round every way runs once, and ratios are taken within a round, so that all meet
// the same machine.

import { fork, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { machine, machineLine } from '../machine.mjs';

/** @typedef {import('./party.mjs').Task} Task */
/** @typedef {{ rate: number, cpuNs: number, lost: number }} Flow */

const HELP = `node bench/shm/run.mjs
  --runs N         rounds (3)
  --seconds S      measured in each round, after 0.4 s of warming up (0.5)
  --only A,B       of oneway, fanout, fanin, roundtrip, idle
  --sizes A,B      of 0, 64, 1024, 65536, 1048576
  --ways A;B       only ways whose name holds one of these
  --other COMMAND  another program next to the C++ ring, called as "COMMAND flow BYTES SENDERS RECEIVERS SECONDS";
                   it prints {"rate": deliveries a second, "cpuNs": processor time of each}`;

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '0.5' },
    only: { type: 'string', default: 'oneway,fanout,fanin,roundtrip,idle' },
    sizes: { type: 'string', default: '0,64,1024,65536,1048576' },
    ways: { type: 'string' },
    other: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const seconds = Number(flags.seconds);
const runs = Number(flags.runs);
const only = flags.only.split(',');
const chosenSizes = flags.sizes.split(',').map(Number);
const chosenWays = flags.ways?.split(';');
const PARTY = fileURLToPath(new URL('./party.mjs', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const execute = promisify(execFile);
/** @type {object[]} */
const record = [];
let serial = 0;

class Party {
  #child;
  /** @type {Record<string, number>[]} */
  #messages = [];
  #wake = () => {};
  /** @param {Partial<Task>} task @param {number} [core] */
  constructor(task, core) {
    this.#child =
      core === undefined
        ? fork(PARTY)
        : spawn('taskset', ['-c', String(core), process.execPath, PARTY], {
            stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          });
    this.#child.on('message', (message) => {
      this.#messages.push(/** @type {Record<string, number>} */ (message));
      this.#wake();
    });
    this.#child.on('exit', () => {
      this.#gone = true;
      this.#wake();
    });
    this.#child.send(task);
  }
  #gone = false;
  /** The next message with this key. @param {string} key @returns {Promise<Record<string, number>>} */
  async says(key) {
    for (;;) {
      const at = this.#messages.findIndex((message) => key in message);
      const found = at >= 0 ? this.#messages.splice(at, 1)[0] : undefined;
      if (found) return found;
      if (this.#gone) throw new Error(`a party ended without saying '${key}'`);
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

/** How many messages a party has got when no more come. @param {Party} party @param {number} wanted */
async function countOf(party, wanted) {
  let before = -1;
  for (let still = 0; still < 20; ) {
    party.tell('count');
    const { all = 0 } = await party.says('all');
    if (all >= wanted) return all;
    still = all === before ? still + 1 : 0;
    before = all;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return before;
}

/** @param {string} folder @param {string} way @param {number} bytes @param {number} senders @param {number} receivers @returns {Promise<Flow>} */
async function flow(folder, way, bytes, senders, receivers) {
  if (way === 'C++' || way === 'other') {
    const program = way === 'C++' ? join(folder, 'ring') : (flags.other ?? '');
    const args = ['flow', bytes, senders, receivers, seconds].map(String);
    const { stdout } = await execute(program, args, { timeout: 120_000 });
    return { lost: 0, ...JSON.parse(stdout) };
  }
  const socket = way.startsWith('socket');
  const name = socket ? join(folder, `s${serial++}`) : `bench.${process.pid}.${serial++}`;
  // A view of a large message needs a ring that holds it in one piece.
  const capacityBytes = way.includes('views') && bytes > 1 << 19 ? 16 << 20 : 4 << 20;
  /** @type {Omit<Task, 'role'>} */
  const task = { way, bytes, seconds, senders, receivers, wait: 'spin', capacityBytes, name };
  const sinks = Array.from(
    { length: receivers },
    (_, i) => new Party({ ...task, role: 'receive', name: socket ? `${name}.${i}` : name }),
  );
  await Promise.all(sinks.map((sink) => sink.says('ready')));
  const sources = Array.from({ length: senders }, () => new Party({ ...task, role: 'send' }));
  try {
    const windows = await Promise.all(sinks.map((sink) => sink.says('rate')));
    for (const source of sources) source.tell('stop');
    const sent = await Promise.all(sources.map((source) => source.says('sent')));
    const total = sent.reduce((sum, { sent: own = 0 }) => sum + own, 0);
    const counts = await Promise.all(sinks.map((sink) => countOf(sink, total)));
    const rate = windows.reduce((sum, { rate: own = 0 }) => sum + own, 0);
    const cpu = [...windows, ...sent].reduce((sum, { cpuPerSecond = 0 }) => sum + cpuPerSecond, 0);
    return { rate, cpuNs: (cpu * 1000) / rate, lost: counts.reduce((sum, count) => sum + total - count, 0) };
  } finally {
    for (const party of [...sinks, ...sources]) party.end();
  }
}

/** @param {string} folder @param {string} way @param {'sleep' | 'spin' | 'busy'} wait @param {boolean} pinned @returns {Promise<{ p50: number, p99: number }>} */
async function roundtrip(folder, way, wait, pinned) {
  if (way === 'C++') {
    const args = ['trip', '64', wait, String(seconds), ...(pinned ? ['pin'] : [])];
    const { stdout } = await execute(join(folder, 'ring'), args, { timeout: 60_000 });
    return JSON.parse(stdout);
  }
  const name = way === 'socket' ? join(folder, `s${serial++}`) : `bench.${process.pid}.${serial++}`;
  /** @type {Omit<Task, 'role'>} */
  const task = { way, wait, bytes: 64, seconds, senders: 1, receivers: 1, name, capacityBytes: 1 << 20 };
  const answering = new Party({ ...task, role: 'answer' }, pinned ? 1 : undefined);
  await answering.says('ready');
  const asking = new Party({ ...task, role: 'ask' }, pinned ? 0 : undefined);
  try {
    const { p50 = 0, p99 = 0 } = await asking.says('p50');
    return { p50, p99 };
  } finally {
    answering.end();
    asking.end();
  }
}

const median = (/** @type {number[]} */ values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const show = (/** @type {number} */ n) =>
  n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n >= 1e4 ? `${Math.round(n / 1e3)} k` : String(Math.round(n));
const ratio = (/** @type {number[]} */ own, /** @type {number[] | undefined} */ peer) =>
  peer ? median(own.map((n, i) => n / (peer[i] ?? n))).toPrecision(3) : '–';

/** @param {string} folder @param {string} title @param {readonly string[]} allWays @param {readonly number[]} sizes @param {number} senders @param {number} receivers */
async function table(folder, title, allWays, sizes, senders, receivers) {
  const kept = allWays.filter((way) => chosenWays === undefined || chosenWays.some((part) => way.includes(part)));
  for (const bytes of sizes.filter((size) => chosenSizes.includes(size))) {
    // Only what is sent in one call for many differs from what goes by itself.
    const ways = kept.filter((way) => bytes <= 16_384 || !way.startsWith('shm, single'));
    /** @type {Map<string, Flow[]>} */
    const rounds = new Map(ways.map((way) => [way, []]));
    for (let run = 0; run < runs; run++) {
      for (const way of ways) rounds.get(way)?.push(await flow(folder, way, bytes, senders, receivers));
    }
    /** @param {string} way */
    const rates = (way) => rounds.get(way)?.map(({ rate }) => rate);
    const peers = [
      'C++',
      ...(flags.other ? ['other'] : []),
      'socket',
      'socket, batched',
      'socket, batched, owned',
    ].filter((way) => rates(way));
    console.log(`\n### ${title}, ${bytes} B\n`);
    console.log(`| way | deliveries/s | range | CPU ns | lost | ${peers.map((way) => `× ${way}`).join(' | ')} |`);
    console.log(`|---|---:|---:|---:|---:|${peers.map(() => '---:|').join('')}`);
    for (const [way, flows] of rounds) {
      const own = rates(way) ?? [];
      const range = `${show(Math.min(...own))}–${show(Math.max(...own))}`;
      const lost = Math.max(...flows.map((one) => one.lost));
      const against = peers.map((peer) => ratio(own, rates(peer))).join(' | ');
      console.log(
        `| ${way} | ${show(median(own))} | ${range} | ${median(flows.map((one) => one.cpuNs)).toFixed(0)} | ${lost} | ${against} |`,
      );
      record.push({ title, bytes, way, flows });
    }
  }
}

/** @param {string} folder */
async function roundtrips(folder) {
  const hasTaskset = spawnSync('taskset', ['--version']).status === 0;
  for (const pinned of hasTaskset ? [false, true] : [false]) {
    console.log(
      `\n### Round trip, 64 B, ${pinned ? 'each process on a core of its own' : 'where the system puts them'}\n`,
    );
    console.log('| way | p50 µs | p99 µs | × C++ | × socket |\n|---|---:|---:|---:|---:|');
    /** @type {[string, 'sleep' | 'spin' | 'busy'][]} */
    const ways = [
      ['C++', 'spin'],
      ['C++', 'sleep'],
      ['shm', 'busy'],
      ['shm', 'spin'],
      ['shm', 'sleep'],
      ['socket', 'sleep'],
    ];
    /** @type {Map<string, { p50: number, p99: number }[]>} */
    const rounds = new Map();
    for (let run = 0; run < runs; run++) {
      for (const [way, wait] of ways) {
        const key = `${way}, ${wait}`;
        rounds.set(key, [...(rounds.get(key) ?? []), await roundtrip(folder, way, wait, pinned)]);
      }
    }
    const p50s = (/** @type {string} */ key) => rounds.get(key)?.map(({ p50 }) => p50) ?? [];
    for (const [key, trips] of rounds) {
      const cpp = key.includes('sleep') ? 'C++, sleep' : 'C++, spin';
      const times = `${median(p50s(key)).toFixed(2)} | ${median(trips.map(({ p99 }) => p99)).toFixed(2)}`;
      console.log(
        `| ${key} | ${times} | ${ratio(p50s(key), p50s(cpp))} | ${ratio(p50s(key), p50s('socket, sleep'))} |`,
      );
      record.push({ title: 'round trip', pinned, key, trips });
    }
  }
}

async function idles() {
  console.log(
    '\n### Receivers that wait, in one process\n\n| mode | channels | processor, % of one |\n|---|---:|---:|',
  );
  for (const [wait, receivers] of /** @type {const} */ ([
    ['sleep', 1],
    ['spin', 1],
    ['spin', 10],
    ['busy', 1],
  ])) {
    const name = `bench.${process.pid}.${serial++}`;
    const party = new Party({
      role: 'idle',
      way: 'shm',
      wait,
      name,
      bytes: 0,
      seconds: 3,
      senders: 1,
      receivers,
      capacityBytes: 65_536,
    });
    const { percent = 0 } = await party.says('percent');
    console.log(`| ${wait} | ${receivers} | ${percent.toFixed(2)} |`);
    record.push({ title: 'idle', wait, receivers, percent });
    party.end();
  }
}

/** The ring alone. @param {string} folder */
function compile(folder) {
  const sources = ['native/ring', 'native/platform'].flatMap((path) =>
    readdirSync(join(ROOT, path))
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(ROOT, path, file)),
  );
  const args = [
    '-std=c++17',
    '-O2',
    '-DNDEBUG',
    '-pthread',
    ...sources,
    join(ROOT, 'bench/shm/ring.cc'),
    '-o',
    join(folder, 'ring'),
  ];
  const { status } = spawnSync(process.env['CXX'] ?? 'c++', args, { stdio: 'inherit' });
  if (status !== 0) throw new Error('the ring alone was not compiled');
}

async function main() {
  if (flags.help) return console.log(HELP);
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  try {
    compile(folder);
    console.log(`${machineLine(machine())}; ${runs} rounds of ${seconds} s, medians`);
    const cpp = ['C++', ...(flags.other ? ['other'] : [])];
    const sockets = ['socket', 'socket, batched', 'socket, batched, owned'];
    const owned = ['shm, single calls', 'shm'];
    const more = [
      'shm, single calls, borrowed',
      'shm, borrowed',
      'shm, await',
      'shm, for await',
      'shm, receiveInto',
      'shm, views',
    ];
    const sizes = [0, 64, 1024, 65_536, 1_048_576];
    if (only.includes('oneway')) await table(folder, '1 → 1', [...cpp, ...owned, ...more, ...sockets], sizes, 1, 1);
    if (only.includes('fanout')) {
      const ways = [...cpp, ...owned, 'shm, borrowed', ...sockets];
      await table(folder, '1 → 4', ways, [64, 1024, 65_536], 1, 4);
      await table(folder, '1 → 10', ways, [64, 1024, 65_536], 1, 10);
    }
    if (only.includes('fanin')) {
      const ways = [...cpp, ...owned];
      await table(folder, '2 → 1 (CHANNEL)', ways, [64, 1024], 2, 1);
      await table(folder, '4 → 1 (CHANNEL)', ways, [64, 1024], 4, 1);
    }
    if (only.includes('roundtrip')) await roundtrips(folder);
    if (only.includes('idle')) await idles();
    const output = join(ROOT, 'build', 'bench');
    mkdirSync(output, { recursive: true });
    writeFileSync(
      join(output, `shm-${Date.now()}.json`),
      JSON.stringify({ machine: machine(), flags, record }, null, 1),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await main();
