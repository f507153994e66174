// Compiles the native addon with the compiler of the machine, straight against node-api-headers:
// nothing is downloaded and no build system is needed. Does nothing when the addon is up to date.
//
//   node scripts/build-native.mjs              build/native/isthmus.node
//   node scripts/build-native.mjs --prebuild   prebuilds/<platform>-<arch>/isthmus.node, as it is published
//   node scripts/build-native.mjs --require    a missing compiler is a failure instead of a warning
//   node scripts/build-native.mjs --debug      with assertions and fault points, not optimised

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values: flags } = parseArgs({
  options: { prebuild: { type: 'boolean' }, require: { type: 'boolean' }, debug: { type: 'boolean' } },
});

/** Folders of sources; native/test is not among them. */
const SOURCES = ['native/addon', 'native/platform', 'native/ring'];

function findCompiler() {
  for (const candidate of [process.env['CXX'], 'c++', 'g++', 'clang++']) {
    if (candidate && spawnSync(candidate, ['--version'], { stdio: 'ignore' }).status === 0) return candidate;
  }
  return undefined;
}

function filesOf(/** @type {string} */ folder, /** @type {RegExp} */ pattern) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => join(path, name));
}

function isMusl() {
  if (process.platform !== 'linux') return false;
  const report = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  return report.header.glibcVersionRuntime === undefined;
}

function compilerFlags(/** @type {string} */ headers) {
  const common = ['-std=c++17', '-fPIC', '-fvisibility=hidden', '-fno-exceptions', '-fno-rtti', '-pthread'];
  const warnings = ['-Wall', '-Wextra', '-Wshadow', '-Wno-unused-parameter'];
  const mode = flags.debug ? ['-O1', '-g', '-DISTHMUS_FAULT_POINTS=1'] : ['-O2', '-DNDEBUG'];
  return [
    ...common,
    ...warnings,
    ...mode,
    `-I${headers}`,
    `-I${join(root, 'native')}`,
    '-DNODE_GYP_MODULE_NAME=isthmus',
  ];
}

function linkFlags() {
  if (process.platform === 'darwin') return ['-bundle', '-undefined', 'dynamic_lookup', '-pthread'];
  return ['-shared', '-pthread', '-static-libgcc', '-static-libstdc++', ...(flags.debug ? [] : ['-s'])];
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

async function main() {
  const sources = SOURCES.flatMap((folder) => filesOf(folder, /\.cc$/));
  const headers = SOURCES.flatMap((folder) => filesOf(folder, /\.h$/));
  const variant = flags.debug ? 'native-debug' : 'native';
  const platform = `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`;
  const output = flags.prebuild
    ? join(root, 'prebuilds', platform, 'isthmus.node')
    : join(root, 'build', variant, 'isthmus.node');
  const objects = join(root, 'build', variant, 'obj');
  const stamp = join(objects, 'command.txt');

  const compiler = findCompiler();
  if (!compiler) {
    const message = 'no C++ compiler found (tried $CXX, c++, g++, clang++): the native addon was not built';
    if (flags.require) throw new Error(message);
    console.warn(`warning: ${message}; shared memory and named pipes will not open, all else works`);
    return;
  }
  const require = createRequire(import.meta.url);
  const { include_dir: include } = /** @type {{ include_dir: string }} */ (require('node-api-headers'));
  const compile = compilerFlags(include);
  const command = [compiler, ...compile, ...linkFlags()].join(' ');
  mkdirSync(objects, { recursive: true });
  mkdirSync(dirname(output), { recursive: true });

  const changed = !existsSync(stamp) || readFileSync(stamp, 'utf8') !== command;
  const newestHeader = Math.max(...headers.map(modified), modified(fileURLToPath(import.meta.url)));
  const steps = sources.map((source) => {
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
  const fresh = `${output}.${process.pid}`;
  await run(compiler, [...linkFlags(), '-o', fresh, ...steps.map((step) => step.object)]);
  renameSync(fresh, output);
  writeFileSync(stamp, command);
  console.log(`built ${relative(root, output)}`);
}

try {
  await main();
} catch (error) {
  console.error(`build-native: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
