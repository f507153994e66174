// `npm run flake -- pattern [times=50]`: runs the matching test files again and again and stops at the
// first failure. A test that fails once in fifty runs is the worst kind of bug; one that leaves a process behind
// has failed.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDist, buildTests } from './build.mjs';
import { runGroup } from './process-group.mjs';
import { ROOT } from './project.mjs';
import { FILE_TIMEOUT_MS, RUN_TIMEOUT_MS, selectTests } from './test.mjs';

/** Runs the files once: what was printed, when they failed. */
async function failureOf(/** @type {readonly string[]} */ files, /** @type {string} */ record) {
  const options = ['--test', '--test-concurrency=2', `--test-timeout=${FILE_TIMEOUT_MS}`];
  const output = openSync(record, 'w');
  /** @type {string[]} */
  const said = [];
  try {
    const code = await runGroup(process.execPath, [...options, ...files], {
      cwd: ROOT,
      timeoutMs: RUN_TIMEOUT_MS,
      say: (text) => said.push(text),
      output,
    });
    return code === 0 ? undefined : [readFileSync(record, 'utf8'), ...said].join('\n');
  } finally {
    closeSync(output);
  }
}

async function main() {
  const [pattern, timesText = '50'] = process.argv.slice(2);
  const times = Number(timesText.replace(/^times=/, ''));
  if (pattern === undefined || !Number.isInteger(times) || times < 1) {
    console.error('usage: npm run flake -- pattern [times=50]');
    return 2;
  }
  if (!(await buildDist()) || !(await buildTests())) return 1;
  const files = selectTests([pattern]).map((file) => join(ROOT, 'build', file));
  if (files.length === 0) {
    console.error(`no test file matches ${pattern}`);
    return 1;
  }
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-flake-'));
  try {
    for (let round = 1; round <= times; round++) {
      const failure = await failureOf(files, join(folder, 'output'));
      if (failure === undefined) continue;
      console.error(`${failure}\nfailed in round ${round} of ${times}`);
      return 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(`${files.length} files passed ${times} times`);
  return 0;
}

process.exitCode = await main();
