// Runs the tests that the ring has in C++, so that `npm test` covers them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const compiler = process.env['CXX'] ?? 'c++';
const canRun = process.platform === 'linux' && spawnSync(compiler, ['--version']).status === 0;

for (const suite of ['stress', 'thread', 'address', 'hostile', 'kill']) {
  test(`the ring alone passes its tests in C++: ${suite}`, { skip: !canRun }, () => {
    const script = join(process.cwd(), 'scripts', 'test-native.mjs');
    const result = spawnSync(process.execPath, [script, '--only', suite], { encoding: 'utf8' });
    assert.equal(result.status, 0, result.stdout + result.stderr);
  });
}
