// Acknowledged messages through a named pipe: ours next to the Python package PipeCom and to a Unix socket in
// Node, each with its listener and its sender in processes of their own, in turns within each round.
//
//   node bench/pipe.mjs [--rounds 5] [--seconds 2] [--bytes 64] [--only TEXT]
//
// ISTHMUS_PYTHON names a Python that can import pipecom; without one those rows are left out.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pipe, PipeSender, send } from '../dist/pipe/index.js';
import { machine, machineLine } from './machine.mjs';

const PYTHON = process.env['ISTHMUS_PYTHON'] ?? 'python3';
const NAME = 'bench';
const PAUSE_MS = 2;

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
micros = [times[len(times) * share // 1000] * 1e6 for share in range(1000)] if times else []
print(json.dumps({'rate': len(times) / took, 'micros': micros, 'failed': failed}), flush=True)
`;

/**
 * What one sender tells: `micros` are its times in thousandths, from the shortest on.
 * @typedef {{ rate: number, micros: number[], failed: number }} Told
 * @typedef {{ rate: number, p50: number, p99: number, failed: number }} Result
 * @typedef {{ name: string, listen: string, send: string, width?: number, senders?: number, python?: boolean }} Party
 */

/** @type {readonly Party[]} */
const PARTIES = [
  { name: 'PipeCom (Python)', listen: 'python', send: 'python', python: true },
  { name: 'PipeCom listener, our sender', listen: 'python', send: 'sender', python: true },
  { name: 'our listener, PipeCom sender', listen: 'pipe', send: 'python', python: true },
  { name: 'isthmus `send`, one at a time', listen: 'pipe', send: 'send' },
  { name: 'isthmus `send`, a pause after each', listen: 'pipe', send: 'pausing' },
  { name: 'isthmus, a new sender for each', listen: 'pipe', send: 'alone' },
  { name: 'isthmus `PipeSender`, one at a time', listen: 'pipe', send: 'sender' },
  { name: 'isthmus `PipeSender`, 16 under way', listen: 'pipe', send: 'sender', width: 16 },
  { name: 'isthmus `PipeSender`, 100 under way', listen: 'pipe', send: 'sender', width: 100 },
  { name: 'Unix socket in Node, one at a time', listen: 'socket', send: 'socket' },
  { name: 'Unix socket in Node, 100 under way', listen: 'socket', send: 'socket', width: 100 },
  { name: 'PipeCom, 8 processes send', listen: 'python', send: 'python', senders: 8, python: true },
  { name: 'isthmus, 8 processes send', listen: 'pipe', send: 'sender', senders: 8 },
  { name: 'Unix socket in Node, 8 processes send', listen: 'socket', send: 'socket', senders: 8 },
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
  if (kind === 'send' || kind === 'pausing') return { one: (message) => send(NAME, message), close: () => {} };
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
        if (kind === 'pausing') await sleep(PAUSE_MS);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: Number(width) }, loop));
  const took = performance.now() - start;
  await close();
  times.sort((a, b) => a - b);
  const micros = Array.from({ length: 1000 }, (_, n) => (times[Math.floor((times.length * n) / 1000)] ?? 0) * 1000);
  console.log(JSON.stringify({ rate: (times.length / took) * 1000, micros, failed }));
}

function start(/** @type {string} */ folder, /** @type {string} */ command, /** @type {string[]} */ args) {
  const child = spawn(command, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  return { child, line: async () => String((await lines.next()).value), closed };
}

const SELF = fileURLToPath(import.meta.url);

/**
 * What the senders of one party have done altogether; a thousandth of one that sent more weighs more.
 * @returns {Result}
 */
function together(/** @type {readonly Told[]} */ told) {
  const rate = told.reduce((sum, one) => sum + one.rate, 0);
  const times = told.flatMap((one) => one.micros.map((micros) => ({ micros, weight: one.rate / one.micros.length })));
  times.sort((a, b) => a.micros - b.micros);
  const at = (/** @type {number} */ share) => {
    let left = rate * share;
    return times.find(({ weight }) => (left -= weight) <= 0)?.micros ?? Number.NaN;
  };
  return { rate, p50: at(0.5), p99: at(0.99), failed: told.reduce((sum, one) => sum + one.failed, 0) };
}

/** @returns {Promise<Result>} */
async function measure(/** @type {Party} */ party, /** @type {string} */ seconds, /** @type {string} */ bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-pipe-'));
  const listener =
    party.listen === 'python'
      ? start(folder, PYTHON, ['-c', PYTHON_LISTENER])
      : start(folder, process.execPath, [SELF, '--role', 'listen', party.listen]);
  try {
    await listener.line();
    const senders = Array.from({ length: party.senders ?? 1 }, () =>
      party.send === 'python'
        ? start(folder, PYTHON, ['-c', PYTHON_SENDER, seconds, bytes])
        : start(folder, process.execPath, [SELF, '--role', 'send', party.send, seconds, bytes, `${party.width ?? 1}`]),
    );
    const told = await Promise.all(senders.map(async (sender) => JSON.parse(await sender.line())));
    await Promise.all(senders.map((sender) => sender.closed));
    return together(told);
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
      only: { type: 'string', default: '' },
    },
  });
  const hasPython = spawnSync(PYTHON, ['-c', 'import pipecom']).status === 0;
  if (!hasPython) console.error(`${PYTHON} cannot import pipecom: its rows are left out`);
  const parties = PARTIES.filter(
    ({ python, name }, index) => (hasPython || python !== true) && (index === 0 || name.includes(values.only)),
  );
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
