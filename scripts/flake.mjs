// `npm run flake -- pattern [times=50]`: runs the matching test files again and again and stops at the
// first failure. A test that fails once in fifty runs is the worst kind of bug.

import { buildDist, buildTests } from './build.mjs';
import { capture, ROOT } from './project.mjs';
import { FILE_TIMEOUT_MS, selectTests } from './test.mjs';
import { join } from 'node:path';

async function main() {
  const [pattern, timesText = '50'] = process.argv.slice(2);
  const times = Number(timesText.replace(/^times=/, ''));
  if (pattern === undefined || !Number.isInteger(times) || times < 1) {
    console.error('usage: npm run flake -- pattern [times=50]');
    return 2;
  }
  if (!(await buildDist()) || !(await buildTests())) return 1;
  const files = selectTests([pattern]);
  if (files.length === 0) {
    console.error(`no test file matches ${pattern}`);
    return 1;
  }
  for (let round = 1; round <= times; round++) {
    const paths = files.map((file) => join(ROOT, 'build', file));
    const { code, output } = await capture(process.execPath, [
      '--test',
      '--test-concurrency=2',
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      ...paths,
    ]);
    if (code !== 0) {
      console.error(`${output}\nfailed in round ${round} of ${times}`);
      return 1;
    }
  }
  console.log(`${files.length} files passed ${times} times`);
  return 0;
}

process.exitCode = await main();
