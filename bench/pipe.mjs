// Acknowledged messages through a named pipe: ours next to the Python package PipeCom and to a Unix socket in
// Node, each with its listener and its sender in processes of their own, in turns within each round.
//
//   node bench/pipe.mjs [--rounds 5] [--seconds 2] [--bytes 64] [--json]
//
// ISTHMUS_PYTHON names a Python that can import pipecom; without one those rows are left out.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pipe, PipeSender, send } from '../dist/pipe/index.js';
import { machine, machineLine } from './machine.mjs';

const PYTHON = process.env['ISTHMUS_PYTHON'] ?? 'python3';
const NAME = 'bench';

const PYTHON_LISTENER = `
import os, pipecom, sys, threading
threading.excepthook = lambda args: None
pipecom.Pipe('${NAME}', lambda message: None).listen()
while not os.path.exists('${NAME}_ack'): pass
print('ready', flush=True)
sys.stdin.read()
os._exit(0)
`;
const PYTHON_SENDER = `
import json, pipecom, sys, time
seconds, size = float(sys.argv[1]), int(sys.argv[2])
message, times, failed = 'x' * size, [], 0
start = time.perf_counter()
while time.perf_counter() - start < seconds:
    before = time.perf_counter()
    try:
        pipecom.send('${NAME}', message, timeout=5)
        times.append(time.perf_counter() - before)
    except Exception:
        failed += 1
took = time.perf_counter() - start
times.sort()
at = lambda share: times[min(len(times) - 1, int(len(times) * share))] * 1e6
print(json.dumps({'rate': len(times) / took, 'p50': at(.5), 'p99': at(.99), 'failed': failed}), flush=True)
`;

/**
 * @typedef {{ rate: number, p50: number, p99: number, failed: number }} Result
 * @typedef {{ name: string, listen: string, send: string, width: number, python?: boolean }} Party
 */

/** @type {readonly Party[]} */
const PARTIES = [
  { name: 'PipeCom (Python)', listen: 'python', send: 'python', width: 1, python: true },
  { name: 'PipeCom listener, our sender', listen: 'python', send: 'sender', width: 1, python: true },
  { name: 'our listener, PipeCom sender', listen: 'pipe', send: 'python', width: 1, python: true },
  { name: 'isthmus `send`, one at a time', listen: 'pipe', send: 'send', width: 1 },
  { name: 'isthmus `send`, alone each', listen: 'pipe', send: 'alone', width: 1 },
  { name: 'isthmus `PipeSender`, one at a time', listen: 'pipe', send: 'sender', width: 1 },
  { name: 'isthmus `PipeSender`, 100 under way', listen: 'pipe', send: 'sender', width: 100 },
  { name: 'Unix socket in Node, one at a time', listen: 'socket', send: 'socket', width: 1 },
  { name: 'Unix socket in Node, 100 under way', listen: 'socket', send: 'socket', width: 100 },
];

/** Newline-delimited text there, one byte back for each line: as little as an acknowledged send can be. */
async function listenOnSocket() {
  const server = createServer((socket) => {
    socket.on('data', (/** @type {Buffer} */ chunk) => {
      let lines = 0;
      for (const byte of chunk) if (byte === 10) lines += 1;
      socket.write(Buffer.alloc(lines, 1));
    });
  });
  await new Promise((resolve) => server.listen(NAME, () => resolve(undefined)));
}

/** @returns {Promise<{ one: (message: string) => Promise<unknown>, close: () => unknown }>} */
async function socketSender() {
  const socket = createConnection(NAME);
  await new Promise((resolve) => socket.once('connect', resolve));
  /** @type {((value: unknown) => void)[]} */
  let waiting = [];
  socket.on('data', (/** @type {Buffer} */ chunk) => {
    const answered = waiting.slice(0, chunk.length);
    waiting = waiting.slice(chunk.length);
    for (const resolve of answered) resolve(true);
  });
  const one = (/** @type {string} */ message) => {
    socket.write(`${message}\n`);
    return new Promise((resolve) => waiting.push(resolve));
  };
  return { one, close: () => socket.destroy() };
}

/** @returns {Promise<{ one: (message: string) => Promise<unknown>, close: () => unknown }>} */
async function senderOf(/** @type {string} */ kind) {
  if (kind === 'socket') return socketSender();
  if (kind === 'send') return { one: (message) => send(NAME, message), close: () => {} };
  if (kind === 'alone') return { one: sendAlone, close: () => {} };
  const sender = new PipeSender(NAME);
  return { one: (message) => sender.send(message), close: () => sender.close() };
}

/** A lane for this one message: what a script pays that sends once. */
async function sendAlone(/** @type {string} */ message) {
  const sender = new PipeSender(NAME);
  await sender.send(message);
  await sender.close();
}

/** The role of a child process. */
async function runRole(/** @type {string[]} */ [role = '', kind = '', seconds = '', bytes = '', width = '']) {
  if (role === 'listen') {
    if (kind === 'socket') await listenOnSocket();
    else await new Pipe(NAME, () => {}, { daemon: false }).listen();
    console.log('ready');
    return;
  }
  const { one, close } = await senderOf(kind);
  const message = 'x'.repeat(Number(bytes));
  /** @type {number[]} */
  const times = [];
  const start = performance.now();
  const end = start + Number(seconds) * 1000;
  let failed = 0;
  const loop = async () => {
    while (performance.now() < end) {
      const before = performance.now();
      try {
        await one(message);
        times.push(performance.now() - before);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: Number(width) }, loop));
  const took = performance.now() - start;
  await close();
  times.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => (times[Math.floor(times.length * share)] ?? 0) * 1000;
  console.log(JSON.stringify({ rate: (times.length / took) * 1000, p50: at(0.5), p99: at(0.99), failed }));
}

function start(/** @type {string} */ folder, /** @type {string} */ command, /** @type {string[]} */ args) {
  const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  return { child, line: async () => String((await lines.next()).value), closed };
}

const SELF = fileURLToPath(import.meta.url);

/** @returns {Promise<Result>} */
async function measure(/** @type {Party} */ party, /** @type {string} */ seconds, /** @type {string} */ bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-pipe-'));
  const listener =
    party.listen === 'python'
      ? start(folder, PYTHON, ['-c', PYTHON_LISTENER])
      : start(folder, process.execPath, [SELF, '--role', 'listen', party.listen]);
  try {
    await listener.line();
    const sender =
      party.send === 'python'
        ? start(folder, PYTHON, ['-c', PYTHON_SENDER, seconds, bytes])
        : start(folder, process.execPath, [SELF, '--role', 'send', party.send, seconds, bytes, String(party.width)]);
    const result = JSON.parse(await sender.line());
    await sender.closed;
    return result;
  } finally {
    listener.child.kill('SIGKILL');
    await listener.closed;
    rmSync(folder, { recursive: true });
  }
}

const median = (/** @type {number[]} */ values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

function report(/** @type {Map<Party, Result[]>} */ results, /** @type {Party} */ base) {
  const baseRates = results.get(base)?.map(({ rate }) => rate) ?? [];
  console.log(`| | acknowledged/s | × ${base.name} | p50 µs | p99 µs | failed |\n|---|--:|--:|--:|--:|--:|`);
  for (const [party, rounds] of results) {
    const ratio = median(rounds.map(({ rate }, round) => rate / (baseRates[round] ?? rate)));
    const [rate, p50, p99] = /** @type {const} */ (['rate', 'p50', 'p99']).map((key) =>
      median(rounds.map((one) => one[key])),
    );
    const failed = rounds.reduce((sum, one) => sum + one.failed, 0);
    console.log(
      `| ${party.name} | ${rate?.toFixed(0)} | ${ratio.toFixed(1)} | ${p50?.toFixed(0)} | ${p99?.toFixed(0)} | ${failed} |`,
    );
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      bytes: { type: 'string', default: '64' },
    },
  });
  const hasPython = spawnSync(PYTHON, ['-c', 'import pipecom']).status === 0;
  if (!hasPython) console.error(`${PYTHON} cannot import pipecom: its rows are left out`);
  const parties = PARTIES.filter((party) => hasPython || party.python !== true);
  /** @type {Map<Party, Result[]>} */
  const results = new Map(parties.map((party) => [party, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const party of parties) results.get(party)?.push(await measure(party, values.seconds, values.bytes));
  }
  console.log(
    `${machineLine(machine())}, ${values.bytes} B, medians of ${values.rounds} rounds of ${values.seconds} s\n`,
  );
  const [base] = parties;
  if (base !== undefined) report(results, base);
}

const roleAt = process.argv.indexOf('--role');
await (roleAt > 0 ? runRole(process.argv.slice(roleAt + 1)) : main());
