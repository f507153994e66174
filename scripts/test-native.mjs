// Compiles the tests of the ring (C++, no Node in it) and runs them: the stress test as it is, under
// ThreadSanitizer and under AddressSanitizer, beside a process that writes garbage, and the kill test.
//
//   node scripts/test-native.mjs                 what CI runs: several hundred kills
//   node scripts/test-native.mjs --kills 10000   the long run
//   node scripts/test-native.mjs --only stress   one of: stress, thread, address, hostile, kill
//   node scripts/test-native.mjs --target win32-x64
//                                                the stress test alone, built for another system (see
//                                                native-targets.mjs) and run here: by wine, qemu, or as it is

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemFlags, systemLibraries, TARGETS, toolchainFor } from './native-targets.mjs';
import { filesBelow, ROOT } from './project.mjs';

const { values: flags } = parseArgs({
  options: { kills: { type: 'string' }, only: { type: 'string' }, target: { type: 'string' } },
});
const kills = Number(flags.kills ?? 600);
/** A pass over all points kills about 125 times at depth 1. */
const KILLS_OF_A_PASS = 125;

const compiler = process.env['CXX'] ?? 'c++';
const folder = join(ROOT, 'build', 'native-test');
const COMMON = ['-std=c++17', '-g', '-Wall', '-Wextra', '-fno-exceptions', '-fno-rtti', '-pthread'];

/** @typedef {{ name: string, source: string, flags: readonly string[], runs: readonly (readonly string[])[] }} Suite */

const scripted = Math.max(1, Math.round(kills / 2 / KILLS_OF_A_PASS));
/** @type {readonly Suite[]} */
const SUITES = [
  { name: 'stress', source: 'stress.cc', flags: ['-O2'], runs: [[]] },
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
      ['--random', String(Math.ceil(kills / 2))],
      ['--stopped', '1'],
    ],
  },
];

function sources() {
  return ['native/ring', 'native/platform'].flatMap((path) =>
    filesBelow('.', join(ROOT, path))
      .filter((file) => file.endsWith('.cc'))
      .map((file) => join(ROOT, path, file)),
  );
}

/** True when the suite compiled and passed. */
function runSuite(/** @type {Suite} */ suite) {
  const program = join(folder, suite.name);
  const args = [...COMMON, ...suite.flags, ...sources(), join(ROOT, 'native', 'test', suite.source), '-o', program];
  if (spawnSync(compiler, args, { stdio: 'inherit' }).status !== 0) return false;
  return suite.runs.every((run) => {
    const result = spawnSync(program, run, { stdio: 'inherit' });
    const passed = result.status === 0;
    console.log(`${passed ? 'ok  ' : 'FAIL'} ${suite.name} ${run.join(' ')}`);
    return passed;
  });
}

/** True when the stress test compiled for the target, and passed under what runs such programs here. */
function runElsewhere(/** @type {string} */ target) {
  const toolchain = toolchainFor(target);
  if (!toolchain) {
    console.error(`no compiler for ${target}`);
    return false;
  }
  const program = join(folder, `stress-${target}${toolchain.platform === 'win32' ? '.exe' : ''}`);
  const common = COMMON.filter((flag) => flag !== '-pthread');
  const ours = [...systemFlags(toolchain), ...sources(), join(ROOT, 'native', 'test', 'stress.cc')];
  // Whole in one file, so that it needs nothing of the other system's; zig has no glibc for that.
  const whole = toolchain.isZig && !target.endsWith('-musl') ? [] : ['-static'];
  const [compiler = '', ...fixed] = toolchain.command;
  const args = [...fixed, ...common, '-O2', ...ours, '-o', program, ...whole, ...systemLibraries(toolchain)];
  if (spawnSync(compiler, args, { stdio: 'inherit' }).status !== 0) return false;
  const [runner, ...rest] = TARGETS[target]?.runner ?? [];
  const ran =
    runner === undefined
      ? spawnSync(program, { stdio: 'inherit' })
      : spawnSync(runner, [...rest, program], { stdio: 'inherit' });
  const passed = ran.status === 0;
  console.log(`${passed ? 'ok  ' : 'FAIL'} stress for ${target}`);
  return passed;
}

mkdirSync(folder, { recursive: true });
if (flags.target !== undefined) process.exitCode = runElsewhere(flags.target) ? 0 : 1;
else {
  const chosen = SUITES.filter((suite) => flags.only === undefined || suite.name === flags.only);
  process.exitCode = chosen.length > 0 && chosen.every(runSuite) ? 0 : 1;
}
