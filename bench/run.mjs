// @ts-check
// node bench/run.mjs --scenario requests --peers floor,nats,isthmus --runs 5 --duration 2

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TOPOLOGIES, TRANSPORTS } from './adapters/adapter.mjs';
import { machine, machineLine } from './machine.mjs';
import { candidates } from './parties.mjs';
import { markdown } from './report.mjs';
import { WORK, label, measure } from './scenarios.mjs';

/** @typedef {import('./scenarios.mjs').Cell} Cell */

const HELP = `Usage: node bench/run.mjs [options]

  --scenario NAMES     roundtrip, requests, oneway, fanout, idle, or all          (all)
  --peers NAMES        parties; the floor always runs                             (all)
  --transports NAMES   unix, tcp, websocket, stdio                                (all)
  --topologies NAMES   direct, forwarded                                          (both)
  --sizes BYTES        of one-way payloads                                        (64,1024,65536,1048576)
  --subscribers COUNTS of the fan-out                                             (10,100)
  --own-processes      each subscriber in a process of its own
  --connections COUNT  of the idle scenario                                       (1000)
  --runs COUNT         rounds; every party runs once in each                      (5)
  --duration SECONDS   of one measurement                                         (2)
  --warm-up SECONDS    before it                                                  (0.5)
  --against NAMES      parties that ratios refer to                               (floor)
  --profile DIRECTORY  write a CPU profile of every process
  --json FILE          where the figures go                                       (build/bench/<scenario>.json)
  --list               name the parties and their versions
`;

/** A party whose subscribers cannot share a process is not asked for more of them. */
const MOST_SEPARATE = 10;
const SCENARIOS = /** @type {const} */ (['roundtrip', 'requests', 'oneway', 'fanout', 'idle']);

/** @param {string} message @returns {never} */
function usage(message) {
  console.error(`bench: ${message}\n\n${HELP}`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        scenario: { type: 'string', default: 'all' },
        peers: { type: 'string', default: 'all' },
        transports: { type: 'string', default: 'all' },
        topologies: { type: 'string', default: 'all' },
        sizes: { type: 'string', default: '64,1024,65536,1048576' },
        subscribers: { type: 'string', default: '10,100' },
        'own-processes': { type: 'boolean', default: false },
        connections: { type: 'string', default: '1000' },
        runs: { type: 'string', default: '5' },
        duration: { type: 'string', default: '2' },
        'warm-up': { type: 'string', default: '0.5' },
        against: { type: 'string', default: 'floor' },
        profile: { type: 'string' },
        json: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

/**
 * @template {string} T
 * @param {string} option
 * @param {string} value
 * @param {readonly T[]} known
 * @returns {T[]}
 */
function names(option, value, known) {
  if (value === 'all') return [...known];
  return value.split(',').map((name) => {
    const found = known.find((one) => one === name);
    return found ?? usage(`--${option}: ${name} is none of ${known.join(', ')}`);
  });
}

/**
 * @param {string} option
 * @param {string} value
 * @param {number} least
 */
function numbers(option, value, least) {
  return value.split(',').map((text) => {
    const number = Number(text);
    return Number.isFinite(number) && number >= least
      ? number
      : usage(`--${option}: ${text} is not a number from ${least}`);
  });
}

/**
 * @param {string} option
 * @param {string} value
 * @param {number} least
 */
const number = (option, value, least) => numbers(option, value, least)[0] ?? least;

const given = options();
if (given.help) {
  console.log(HELP);
  process.exit(0);
}

const everybody = await candidates();
const wanted = new Set(
  names(
    'peers',
    given.peers,
    everybody.map(({ name }) => name),
  ),
);
wanted.add('floor');
const scenarios = names('scenario', given.scenario, SCENARIOS);
const transports = names('transports', given.transports, TRANSPORTS);
const topologies = names('topologies', given.topologies, TOPOLOGIES);
const against = names(
  'against',
  given.against,
  everybody.map(({ name }) => name),
);
const sizes = numbers('sizes', given.sizes, 2);
const subscribers = numbers('subscribers', given.subscribers, 1);
const rounds = number('runs', given.runs, 1);
const timing = {
  warmUpMs: number('warm-up', given['warm-up'], 0) * 1000,
  durationMs: number('duration', given.duration, 0.05) * 1000,
  idleConnections: number('connections', given.connections, 1),
  profileDirectory: given.profile === undefined ? undefined : resolve(given.profile),
};

/** @type {Record<string, string>} */
const versions = {};
/** @type {Record<string, string>} */
const absent = {};
/** @type {typeof everybody} */
const present = [];
for (const party of everybody) {
  if (!wanted.has(party.name)) continue;
  try {
    versions[party.name] = await party.adapter.version();
    present.push(party);
  } catch (error) {
    absent[party.name] = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  }
}
const partyLines = [
  ...Object.entries(versions).map(([name, version]) => `- ${name}: ${version}${noteOf(name)}`),
  ...Object.entries(absent).map(([name, why]) => `- ${name}: absent (${why})`),
];

/** @param {string} name */
function noteOf(name) {
  const note = everybody.find((party) => party.name === name)?.note;
  return note ? ` (${note})` : '';
}

if (given.list) {
  console.log(partyLines.join('\n'));
  process.exit(0);
}

/** @returns {Cell[]} */
function plan() {
  /** @type {Cell[]} */
  const cells = [];
  for (const scenario of scenarios) {
    const eachSize = scenario === 'oneway' ? sizes : [64];
    const eachFan = scenario === 'fanout' ? subscribers : [1];
    for (const sizeBytes of eachSize) {
      for (const fan of eachFan) {
        for (const party of present) {
          for (const topology of party.adapter.works[WORK[scenario]] ?? []) {
            for (const transport of party.adapter.transports) {
              if (!transports.includes(transport)) continue;
              if (!topologies.includes(topology) && (scenario === 'oneway' || scenario === 'fanout')) continue;
              const { separate = false } = party.adapter;
              if (separate && fan > MOST_SEPARATE) continue;
              const ownProcesses = scenario === 'fanout' && given['own-processes'];
              cells.push({ scenario, party, transport, topology, sizeBytes, subscribers: fan, ownProcesses });
            }
          }
        }
      }
    }
  }
  return cells;
}

const cells = plan();
if (cells.length === 0) usage('nothing to measure: no party has the transports and topologies asked for');
const about = machine();
if (timing.profileDirectory !== undefined) await mkdir(timing.profileDirectory, { recursive: true });

/** @type {import('./report.mjs').Outcome[]} */
const outcomes = cells.map((cell) => ({ cell, runs: [], errors: [] }));
for (let round = 0; round < rounds; round++) {
  for (const outcome of outcomes) {
    process.stderr.write(`round ${round + 1}/${rounds} ${label(outcome.cell)}\n`);
    try {
      outcome.runs[round] = await measure(outcome.cell, timing);
    } catch (error) {
      outcome.runs[round] = undefined;
      outcome.errors.push(error instanceof Error ? error.message : String(error));
    }
  }
}

const method = `${rounds} rounds of ${timing.durationMs / 1000} s after ${timing.warmUpMs / 1000} s of warm-up; medians`;
console.log(`${machineLine(about)}\n\n${method}\n\n${partyLines.join('\n')}\n\n${markdown(outcomes, against)}`);

const file =
  given.json === undefined
    ? fileURLToPath(new URL(`../build/bench/${scenarios.join('-')}.json`, import.meta.url))
    : resolve(given.json);
await mkdir(dirname(file), { recursive: true });
const { profileDirectory: _, ...durations } = timing;
const figures = outcomes.map(({ cell: { party, ...cell }, runs, errors }) => ({
  ...cell,
  party: party.name,
  runs,
  errors,
}));
await writeFile(
  file,
  `${JSON.stringify({ machine: about, rounds, ...durations, versions, absent, figures }, undefined, 2)}\n`,
);
if (outcomes.some(({ errors }) => errors.length > 0)) process.exitCode = 1;
