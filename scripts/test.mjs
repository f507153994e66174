// `npm test [-- pattern… | --node-option…]`: compiles, then runs node's own test runner over the compiled
// *.test.js files whose path holds one of the patterns. With ISTHMUS_NO_SKIP=1 a skipped test is a failure:
// there every real peer is installed, and a test that looks away would hide that one is missing.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDist, buildTests } from './build.mjs';
import { runGroup } from './process-group.mjs';
import { filesBelow, ROOT } from './project.mjs';

const MAX_PARALLEL_FILES = 2;
/**
 * A file that hangs must end in a failure that names it. Node counts the whole file; what takes a quarter of a
 * minute on a quiet machine has taken more than three on a busy one.
 */
export const FILE_TIMEOUT_MS = 8 * 60_000;
/** A file that was ended at its limit may leave a child which holds the runner's output open: for ever, without this. */
export const RUN_TIMEOUT_MS = 25 * 60_000;

/** The compiled test files whose path below build/ holds one of the patterns; all of them without a pattern. */
export function selectTests(/** @type {readonly string[]} */ patterns) {
  const compiled = filesBelow('.', join(ROOT, 'build')).filter((file) => file.endsWith('.test.js'));
  if (patterns.length === 0) return compiled;
  return compiled.filter((file) => patterns.some((pattern) => file.includes(asCompiled(pattern))));
}

/** A pattern may be the path of a source file; the files looked at are its outputs. */
function asCompiled(/** @type {string} */ pattern) {
  return pattern.replace(/^\.\//, '').replace(/\.ts$/, '.js');
}

/**
 * Runs node's test runner once over the files. Its output passes through untouched.
 * @param {readonly string[]} files paths below build/
 * @param {readonly string[]} nodeOptions
 * @returns {Promise<{ code: number, skipped: string[], failed: string[] }>}
 */
export async function runTests(files, nodeOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-test-'));
  const record = join(folder, 'skipped.jsonl');
  const reporter = process.stdout.isTTY ? 'spec' : 'tap';
  try {
    const args = [
      '--test',
      '--enable-source-maps',
      `--test-concurrency=${MAX_PARALLEL_FILES}`,
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      `--test-reporter=${reporter}`,
      '--test-reporter-destination=stdout',
      `--test-reporter=${new URL('verdict-reporter.mjs', import.meta.url).href}`,
      `--test-reporter-destination=${record}`,
      ...nodeOptions,
      ...files.map((file) => join(ROOT, 'build', file)),
    ];
    const code = await runGroup(process.execPath, args, { cwd: ROOT, timeoutMs: RUN_TIMEOUT_MS });
    const lines = readFileSync(record, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    const entries = lines.map((line) => /** @type {string | { failed: string }} */ (JSON.parse(line)));
    return {
      code,
      skipped: entries.filter((entry) => typeof entry === 'string'),
      failed: entries.flatMap((entry) => (typeof entry === 'string' ? [] : [entry.failed])),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The exit code that a run deserves; what was skipped and what failed is listed, at the end, where it is read.
 * A skipped test whose line holds `maySkip` is forgiven: it needs a peer that cannot be had everywhere.
 * @param {{ code: number, skipped: string[], failed?: string[] }} result
 * @param {boolean} noSkip
 * @param {(text: string) => void} say
 */
export function verdict(result, noSkip, say = console.error, maySkip = '') {
  const unforgiven = result.skipped.filter((name) => maySkip === '' || !name.includes(maySkip));
  if (result.skipped.length > 0) {
    say(`\n${result.skipped.length} skipped:\n${result.skipped.map((name) => `  ${name}`).join('\n')}`);
    if (noSkip && unforgiven.length > 0) say('ISTHMUS_NO_SKIP is set: nothing may be skipped here.');
  }
  const { failed = [] } = result;
  if (failed.length > 0) say(`\n${failed.length} failed:\n${failed.map((name) => `  ${name}`).join('\n')}`);
  return result.code === 0 && noSkip && unforgiven.length > 0 ? 1 : result.code;
}

async function main() {
  const args = process.argv.slice(2);
  const patterns = args.filter((arg) => !arg.startsWith('--'));
  // The compiler writes its output in spite of type errors: the tests run, and the run still fails.
  const outcomes = [await buildDist(), await buildTests()];
  const built = outcomes.every((outcome) => outcome);
  const files = selectTests(patterns);
  if (files.length === 0) {
    console.error(`no test file matches ${patterns.join(' ')}`);
    return 1;
  }
  const result = await runTests(
    files,
    args.filter((arg) => arg.startsWith('--')),
  );
  if (!built) console.error('the build failed; see above');
  const noSkip = process.env['ISTHMUS_NO_SKIP'] === '1';
  return verdict(
    built ? result : { ...result, code: result.code || 1 },
    noSkip,
    console.error,
    process.env['ISTHMUS_MAY_SKIP'],
  );
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
