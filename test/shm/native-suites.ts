// Runs the tests that the ring has in C++, so that `npm test` covers them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const compiler = process.env['CXX'] ?? 'c++';

/** One test for each of the suites. A test file has a time limit: on a busy machine these need much of it. */
export function testSuites(...suites: readonly string[]): void {
  const canRun = process.platform === 'linux' && spawnSync(compiler, ['--version']).status === 0;
  for (const suite of suites) {
    test(`the ring alone passes its tests in C++: ${suite}`, { skip: !canRun }, () => {
      const script = join(process.cwd(), 'scripts', 'test-native.mjs');
      const result = spawnSync(process.execPath, [script, '--only', suite], { encoding: 'utf8' });
      assert.equal(result.status, 0, result.stdout + result.stderr);
    });
  }
}
