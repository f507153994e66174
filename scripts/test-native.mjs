// Compiles the tests of the ring (C++, no Node in it) and runs them: the stress test as it is, under
// ThreadSanitizer and under AddressSanitizer, what load seldom meets (edges), beside a process that writes garbage,
// killed at every fault point and at random, killed between single instructions (step), and everything at once (storm).
//
//   node scripts/test-native.mjs                 what CI runs: several hundred kills
//   node scripts/test-native.mjs --kills 10000   the long run
//   node scripts/test-native.mjs --only stress   one of: stress, thread, address, edges, hostile, kill, step, storm
//   node scripts/test-native.mjs --target win32-x64
//                                                stress and kill, built for another system (see
//                                                native-targets.mjs) and run here: by wine, qemu, or as it is

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemFlags, systemLibraries, TARGETS, toolchainFor } from './native-targets.mjs';
import { filesBelow, ROOT } from './project.mjs';

const { values: flags } = parseArgs({
  options: { kills: { type: 'string' }, only: { type: 'string' }, target: { type: 'string' } },
});
const kills = Number(flags.kills ?? 600);
/** A pass over all points kills about 125 times at depth 1. */
const KILLS_OF_A_PASS = 125;

const folder = join(ROOT, 'build', 'native-test');
const COMMON = ['-std=c++17', '-g', '-Wall', '-Wextra', '-fno-exceptions', '-fno-rtti'];

/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {string} source
 * @property {readonly string[]} flags
 * @property {readonly (readonly string[])[]} runs  the arguments of each run
 * @property {true} [everywhere]                    knows no system: can be built for others, too
 */

const scripted = Math.max(1, Math.round(kills / 2 / KILLS_OF_A_PASS));
/** @type {readonly Suite[]} */
const SUITES = [
  { name: 'stress', source: 'stress.cc', flags: ['-O2'], runs: [[]], everywhere: true },
  {
    name: 'thread',
    source: 'stress.cc',
    // The fences that ThreadSanitizer does not know order only sleeping and waking, which hold no plain data.
    flags: ['-O1', '-fsanitize=thread', '-Wno-tsan', '-DISTHMUS_ONE_MAPPING=1', '-fexceptions'],
    runs: [[]],
  },
  {
    name: 'address',
    source: 'stress.cc',
    flags: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
    runs: [[]],
  },
  {
    name: 'edges',
    source: 'edges.cc',
    flags: [
      '-O1',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
      '-Dposix_fallocate=interrupted_fallocate',
    ],
    runs: [[]],
  },
  {
    name: 'hostile',
    source: 'hostile.cc',
    // Every mapping lies between pages that must not be touched.
    flags: [
      '-O1',
      '-fsanitize=address,undefined',
      '-fno-sanitize-recover=all',
      '-Dmmap=guarded_mmap',
      '-Dmunmap=guarded_munmap',
    ],
    runs: [['100']],
  },
  {
    name: 'kill',
    source: 'kill.cc',
    flags: ['-O2', '-DISTHMUS_FAULT_POINTS=1'],
    runs: [
      ['--scripted', String(scripted)],
      ['--random', String(kills)],
      ['--stopped', '1'],
    ],
    everywhere: true,
  },
  // Of 20,000 places each time some others.
  { name: 'step', source: 'step.cc', flags: ['-O2'], runs: [[String(Math.max(1, Math.round(48000 / kills)))]] },
  {
    name: 'storm',
    source: 'storm.cc',
    flags: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
    runs: [[String(Math.ceil(kills / 60))]],
  },
];

function sources() {
  return ['native/ring', 'native/platform'].flatMap((path) =>
    filesBelow('.', join(ROOT, path))
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(ROOT, path, file)),
  );
}

/**
 * True when the suite compiled and passed.
 * @param {Suite} suite
 * @param {readonly string[]} command   what compiles it, with what every suite is compiled with
 * @param {readonly string[]} libraries
 * @param {string} program              what it is compiled to
 * @param {readonly string[]} [runner]  what runs the program
 */
function runSuite(suite, command, libraries, program, runner = []) {
  const [compiler = '', ...fixed] = command;
  const args = [...fixed, ...suite.flags, ...sources(), join(ROOT, 'native', 'test', suite.source)];
  if (spawnSync(compiler, [...args, '-o', program, ...libraries], { stdio: 'inherit' }).status !== 0) return false;
  // A program that starts itself has to know what runs it.
  const env = runner.length > 0 ? { ...process.env, ISTHMUS_TEST_RUNNER: runner.join(' ') } : process.env;
  return suite.runs.every((run) => {
    const [first = '', ...rest] = [...runner, program, ...run];
    const passed = spawnSync(first, rest, { stdio: 'inherit', env }).status === 0;
    console.log(`${passed ? 'ok  ' : 'FAIL'} ${basename(program)} ${run.join(' ')}`);
    return passed;
  });
}

const runHere = (/** @type {Suite} */ suite) =>
  runSuite(suite, [process.env['CXX'] ?? 'c++', '-pthread', ...COMMON], [], join(folder, suite.name));

/** True when the suite compiled for the target, and passed under what runs such programs here. */
function runElsewhere(/** @type {Suite} */ suite, /** @type {string} */ target) {
  const toolchain = toolchainFor(target);
  if (!toolchain) {
    console.error(`no compiler for ${target}`);
    return false;
  }
  const program = join(folder, `${suite.name}-${target}${toolchain.platform === 'win32' ? '.exe' : ''}`);
  // Whole in one file, so that it needs nothing of the other system's; zig has no glibc for that.
  const canBeWhole = !toolchain.isZig || toolchain.platform === 'win32' || target.endsWith('-musl');
  return runSuite(
    suite,
    [...toolchain.command, ...COMMON, ...systemFlags(toolchain)],
    [...(canBeWhole ? ['-static'] : []), ...systemLibraries(toolchain)],
    program,
    TARGETS[target]?.runner,
  );
}

mkdirSync(folder, { recursive: true });
const { only, target } = flags;
const chosen = SUITES.filter(
  ({ name, everywhere }) => (only === undefined || name === only) && (target === undefined || everywhere),
);
const passes = (/** @type {Suite} */ suite) => (target === undefined ? runHere(suite) : runElsewhere(suite, target));
process.exitCode = chosen.length > 0 && chosen.every(passes) ? 0 : 1;
