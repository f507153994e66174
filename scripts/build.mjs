// Compiles src to dist (what is published) and builds the native addon for this machine.
// `node scripts/build.mjs --tests` compiles everything with its tests to build/ as well.

import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow, newestChange, ROOT, run, tool } from './project.mjs';

/** Compiles with one project file, then removes outputs whose source has gone. True when it found no error. */
async function compile(/** @type {string} */ project, /** @type {string} */ outDir, /** @type {string} */ sourceDir) {
  const code = await run(tool('tsc'), ['-p', project]);
  for (const output of outputsOf(outDir)) {
    if (!hasSource(output, sourceDir)) rmSync(join(ROOT, outDir, output));
  }
  return code === 0;
}

/** Files of an output folder, relative to it. */
function outputsOf(/** @type {string} */ outDir) {
  return filesBelow('.', join(ROOT, outDir));
}

/** Whether the source that a compiled file came from is still there. Files that are no output of the compiler stay. */
function hasSource(/** @type {string} */ output, /** @type {string} */ sourceDir) {
  const match = /^(.*?)(?:\.d)?\.(?:js|ts|mjs|mts)(?:\.map)?$/.exec(output);
  if (match === null) return true;
  const stem = join(ROOT, sourceDir, match[1] ?? '');
  return ['.ts', '.tsx', '.mts', '.mjs', '.js', '.d.ts'].some((extension) => existsSync(stem + extension));
}

/** Builds the addon. Without a compiler it warns and everything but shared memory and named pipes works. */
async function buildNative() {
  return (await run(process.execPath, [join(ROOT, 'scripts', 'build-native.mjs')])) === 0;
}

/** Compiles what is published. True when it worked. */
export async function buildDist() {
  const compiled = await compile('tsconfig.build.json', 'dist', 'src');
  const command = join(ROOT, 'dist', 'cli', 'main.js');
  if (existsSync(command)) chmodSync(command, 0o755);
  return (await buildNative()) && compiled;
}

/** Compiles sources, tests, scripts and examples for the test runner. True when it worked. */
export function buildTests() {
  return compile('tsconfig.test.json', 'build', '.');
}

/** Whether dist is older than what it is made from. */
export function isDistStale() {
  const inputs = ['src', 'native', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts'];
  const output = newestChange(['dist']);
  return output === 0 || newestChange(inputs) > output;
}

if (process.argv[1] === import.meta.filename) {
  const outcomes = [await buildDist(), !process.argv.includes('--tests') || (await buildTests())];
  process.exitCode = outcomes.every((outcome) => outcome) ? 0 : 1;
}
