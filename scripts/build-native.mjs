// Compiles the native addon straight against node-api-headers: nothing is downloaded and no build system is
// needed. Does nothing where the addon is up to date.
//
//   node scripts/build-native.mjs                    build/native/isthmus.node, for this machine
//   node scripts/build-native.mjs --prebuild         prebuilds/<target>/isthmus.node, as it is published
//   node scripts/build-native.mjs --target win32-x64 for another system, with a cross-compiler or zig; `all`: for
//                                                    each that there is a compiler for. Alone it only shows that
//                                                    it compiles (build/native-<target>); with --prebuild it is kept
//   node scripts/build-native.mjs --require          a missing compiler is a failure instead of a warning
//   node scripts/build-native.mjs --debug            with assertions and fault points, not optimised

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { addonFlags, addonLinkFlags, hostToolchain, systemFlags, TARGETS, toolchainFor } from './native-targets.mjs';

/** @typedef {import('./native-targets.mjs').Toolchain} Toolchain */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values: flags } = parseArgs({
  options: {
    prebuild: { type: 'boolean' },
    target: { type: 'string' },
    require: { type: 'boolean' },
    debug: { type: 'boolean' },
  },
});

/** Folders of sources; native/test is not among them. */
const SOURCES = ['native/addon', 'native/platform', 'native/ring'];

function filesOf(/** @type {string} */ folder, /** @type {RegExp} */ pattern) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(path, name));
}

/** Systems that the ring has a platform layer for; elsewhere the addon is without it. */
const RING_PLATFORMS = ['linux', 'darwin', 'win32'];

/** What the addon of this system is made of. */
function sourcesFor(/** @type {Toolchain} */ { platform }) {
  const all = SOURCES.flatMap((folder) => filesOf(folder, /\.cc$/));
  if (RING_PLATFORMS.includes(platform)) return all;
  return filesOf('native/addon', /\.cc$/).filter((path) => !basename(path).startsWith('shm'));
}

function compilerFlags(/** @type {Toolchain} */ toolchain, /** @type {string} */ headers) {
  const common = [
    '-std=c++17',
    '-fvisibility=hidden',
    '-fno-exceptions',
    '-fno-rtti',
    ...systemFlags(toolchain),
    ...addonFlags(toolchain),
  ];
  const warnings = ['-Wall', '-Wextra', '-Wshadow', '-Wno-unused-parameter'];
  const mode = flags.debug ? ['-O1', '-g', '-DISTHMUS_FAULT_POINTS=1'] : ['-O2', '-DNDEBUG'];
  const ring = RING_PLATFORMS.includes(toolchain.platform) ? [] : ['-DISTHMUS_NO_RING=1'];
  return [
    ...common,
    ...warnings,
    ...mode,
    ...ring,
    `-I${headers}`,
    `-I${join(root, 'native')}`,
    '-DNODE_GYP_MODULE_NAME=isthmus',
  ];
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Promise<void>}
 */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${basename(command)} failed (${code})`))));
  });
}

async function inParallel(/** @type {readonly (() => Promise<void>)[]} */ tasks, /** @type {number} */ width) {
  const queue = [...tasks];
  const worker = async () => {
    for (let task = queue.shift(); task; task = queue.shift()) await task();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

const modified = (/** @type {string} */ path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Says that there is no compiler, or fails for it. */
function lacking(/** @type {string} */ message) {
  if (flags.require) throw new Error(message);
  console.warn(`warning: ${message}`);
}

/** @returns {Toolchain[]} what to build with, one for each addon */
function chosenToolchains() {
  if (flags.target === undefined) {
    const host = hostToolchain();
    const message = 'no C++ compiler found (tried $CXX, c++, g++, clang++): the native addon was not built';
    if (!host) lacking(`${message}; shared memory and named pipes will not open, all else works`);
    return host ? [host] : [];
  }
  const targets = flags.target === 'all' ? Object.keys(TARGETS) : [flags.target];
  return targets.flatMap((target) => {
    const found = toolchainFor(target);
    if (!found)
      lacking(`no compiler for ${target}: neither a cross-compiler nor zig (tried $ZIG, zig, python3 -m ziglang)`);
    return found ? [found] : [];
  });
}

/** Compiles what changed, and links it when anything did. */
async function build(/** @type {Toolchain} */ toolchain) {
  const { target, command } = toolchain;
  const [compiler = '', ...fixed] = command;
  const variant = `native${flags.target === undefined ? '' : `-${target}`}${flags.debug ? '-debug' : ''}`;
  const folder = flags.prebuild ? join('prebuilds', target) : join('build', variant);
  const output = join(root, folder, 'isthmus.node');
  const objects = join(root, 'build', variant, 'obj');
  const stamp = join(objects, 'command.txt');

  const require = createRequire(import.meta.url);
  const { include_dir: include } = /** @type {{ include_dir: string }} */ (require('node-api-headers'));
  const compile = [...fixed, ...compilerFlags(toolchain, include)];
  const link = [...fixed, ...addonLinkFlags(toolchain, !flags.debug)];
  const line = [compiler, ...compile, ...link].join(' ');
  mkdirSync(objects, { recursive: true });
  mkdirSync(dirname(output), { recursive: true });

  const changed = !existsSync(stamp) || readFileSync(stamp, 'utf8') !== line;
  const headers = SOURCES.flatMap((path) => filesOf(path, /\.h$/));
  const scripts = ['build-native.mjs', 'native-targets.mjs'].map((name) => join(root, 'scripts', name));
  const newestHeader = Math.max(...headers.map(modified), ...scripts.map(modified));
  const steps = sourcesFor(toolchain).map((source) => {
    const object = join(objects, `${relative(join(root, 'native'), source).replaceAll(/[/\\]/g, '-')}.o`);
    return { source, object, stale: changed || modified(object) <= Math.max(modified(source), newestHeader) };
  });
  const stale = steps.filter((step) => step.stale);
  const newestObject = Math.max(...steps.map((step) => modified(step.object)));
  if (stale.length === 0 && modified(output) >= newestObject) return;

  await inParallel(
    stale.map((step) => () => run(compiler, [...compile, '-c', step.source, '-o', step.object])),
    availableParallelism(),
  );
  // A new file in place of the old one: overwriting it would pull the code from under running processes.
  // Linked under its own name, which some systems write into it.
  const scratch = mkdtempSync(join(objects, 'link-'));
  const fresh = join(scratch, basename(output));
  try {
    await run(compiler, [...fixed, '-o', fresh, ...steps.map((step) => step.object), ...link.slice(fixed.length)]);
    renameSync(fresh, output);
  } finally {
    rmSync(scratch, { recursive: true });
  }
  writeFileSync(stamp, line);
  console.log(`built ${relative(root, output)}`);
}

try {
  for (const toolchain of chosenToolchains()) await build(toolchain);
} catch (error) {
  console.error(`build-native: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
