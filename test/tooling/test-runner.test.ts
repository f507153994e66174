// What `npm test` adds to node's runner: it knows which tests were skipped, and fails for them where it must.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, test } from 'node:test';
import { runGroup } from '../../scripts/process-group.mjs';
import { verdict } from '../../scripts/test.mjs';

const REPORTER = pathToFileURL(join(process.cwd(), 'scripts', 'verdict-reporter.mjs')).href;

/** What the reporter writes about a test file. */
function reported(source: string, ...options: string[]): unknown[] {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-runner-'));
  try {
    const file = join(folder, 'planted.test.mjs');
    writeFileSync(file, `import { describe, test } from 'node:test';\n${source}`);
    const args = ['--test', `--test-reporter=${REPORTER}`, ...options, file];
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const result = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    assert.equal(result.stderr, '');
    const lines = result.stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as unknown);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('the list of skipped tests', () => {
  test('names file, groups, test and reason', () => {
    const source = `describe('a', () => { describe('b', () => { test('c', { skip: 'no peer' }, () => {}); }); });`;
    assert.deepEqual(reported(source), ['planted.test.mjs > a > b > c (no peer)']);
  });

  test('has a test that skips itself while it runs', () => {
    const source = `test('outer', async (t) => { await t.test('inner', (u) => u.skip('late')); });`;
    assert.deepEqual(reported(source), ['planted.test.mjs > outer > inner (late)']);
  });

  test('has a skipped group', () => {
    const source = `describe('group', { skip: true }, () => { test('x', () => {}); }); test('ok', () => {});`;
    assert.deepEqual(reported(source), ['planted.test.mjs > group']);
  });

  test('is empty where everything ran', () => {
    assert.deepEqual(reported(`test('a', () => {}); test('b', () => {});`), []);
  });

  test('has no test that a name pattern left out', () => {
    assert.deepEqual(reported(`test('a', () => {}); test('b', () => {});`, '--test-name-pattern=a'), []);
  });
});

describe('the list of failed tests', () => {
  test('names file, group and test, and no group that fails only for its tests', () => {
    const source = `describe('a', () => { test('b', () => { throw new Error('no'); }); test('c', () => {}); });`;
    assert.deepEqual(reported(source), [{ failed: 'planted.test.mjs > a > b' }]);
  });

  test('has a file that does not load', () => {
    assert.match(JSON.stringify(reported('syntax error')), /^\[\{"failed":".*planted\.test\.mjs/);
  });

  test('is said after everything else', () => {
    const said: string[] = [];
    verdict({ code: 1, skipped: ['s'], failed: ['f'] }, false, (text) => said.push(text));
    assert.deepEqual(said, ['\n1 skipped:\n  s', '\n1 failed:\n  f']);
  });
});

describe('the exit code', () => {
  for (const [title, code, skipped, noSkip, wanted] of [
    ['is 0 when all passed', 0, [], true, 0],
    ['is 0 when some are skipped', 0, ['a'], false, 0],
    ['is 1 when some are skipped and nothing may be', 0, ['a'], true, 1],
    ['is that of the runner when a test failed', 7, ['a'], true, 7],
  ] as const) {
    test(title, () =>
      assert.equal(
        verdict({ code, skipped: [...skipped] }, noSkip, () => undefined),
        wanted,
      ),
    );
  }

  test('forgives what may be skipped, and nothing else', () => {
    const of = (skipped: string[]): number => verdict({ code: 0, skipped }, true, () => undefined, 'no peer');
    assert.equal(of(['a (no peer)']), 0);
    assert.equal(of(['a (no peer)', 'b']), 1);
  });
});

describe('a run as a group of processes', { skip: process.platform !== 'linux' }, () => {
  const cwd = process.cwd();
  const inner = `const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });`;
  const runs = (pid: string): boolean => {
    try {
      return !/\) [ZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };
  async function ran(source: string, timeoutMs: number): Promise<{ code: number; said: string }> {
    const said: string[] = [];
    const options = { cwd, timeoutMs, say: (text: string) => said.push(text) };
    const code = await runGroup(process.execPath, ['-e', source], options);
    // Whoever was named is ended; that takes the system a moment.
    const pids = [...said.join('\n').matchAll(/^ {2}(\d+) /gm)].map(([, pid]) => pid ?? '');
    while (pids.some(runs)) await new Promise((resolve) => setImmediate(resolve));
    return { code, said: said.join('\n') };
  }

  test('has the exit code of the program, and says nothing, when nothing is left', async () => {
    assert.deepEqual(await ran('process.exit(3)', 60_000), { code: 3, said: '' });
    assert.deepEqual(await ran('', 60_000), { code: 0, said: '' });
  });

  test('fails when a process is left, names it and ends it', async () => {
    const { code, said } = await ran(`${inner} child.unref(); process.exit(0)`, 60_000);
    assert.equal(code, 1);
    assert.match(said, /left running[^]*setInterval/);
  });

  test('ends one that hangs with all that it started, stopped ones too', async () => {
    const { code, said } = await ran(`${inner} child.kill('SIGSTOP'); setInterval(() => {}, 1e6)`, 1000);
    assert.equal(code, 1);
    assert.match(said, /not at its end/);
  });
});
