// Every file of examples/ is a program that ends by itself with success. It is run as a user would run it:
// compiled, with `isthmus` being the package as it is published.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = process.cwd();
const COMPILED = join(ROOT, 'build', 'examples');
const TIME_OUT_MS = 240_000;

const examples = existsSync(join(ROOT, 'examples'))
  ? readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'))
  : [];

for (const name of examples) {
  test(`examples/${name} runs to its end`, () => {
    const result = spawnSync(process.execPath, [join(COMPILED, name.replace(/\.ts$/, '.js'))], {
      encoding: 'utf8',
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      timeout: TIME_OUT_MS,
    });
    assert.equal(result.status, 0, `${result.stdout}${result.stderr}${result.error?.message ?? ''}`);
    assert.notEqual(result.stdout, '', 'an example shows something');
  });
}
