// Breaks each house rule once and proves that the check sees it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { breachesOf } from '../../scripts/check-style.mjs';

const HEAD = '// Why this file exists.\n';

/** Text that breaks a rule, where, and a word of the rule. */
const PLANTED: readonly (readonly [file: string, text: string, rule: RegExp])[] = [
  ['src/base/a.ts', 'const a: any = 1;', /`any`/],
  ['src/base/a.ts', 'const a = b as any;', /`any`/],
  ['src/base/a.ts', 'const a: Map<string, any> = b;', /`any`/],
  ['scripts/a.mjs', '/** @type {any} */', /`any`/],
  ['src/base/a.ts', '// @ts-ignore', /silenced/],
  ['src/base/a.ts', '// oxlint-disable-next-line no-console', /silenced/],
  ['src/base/a.ts', '// TODO: later', /TODO/],
  ['src/base/a.ts', '// FIXME soon', /TODO/],
  ['docs/a.md', 'see /home/me/project', /one machine/],
  ['src/pipe/a.ts', "const path = '/tmp/pipe';", /mkdtemp/],
  ['src/base/a.test.ts', "test.only('a', () => {});", /only/],
  ['src/base/a.test.ts', "test('a', { only: true }, () => {});", /only/],
  ['src/session/a.ts', 'const now = Date.now();', /clock/],
  ['src/broker/a.ts', 'const id = Math.random();', /clock/],
  ['docs/a.md', 'see https://www.npmjs.com/package/ws', /registry/],
];

/** Text that looks like a breach and is none. */
const ALLOWED: readonly (readonly [file: string, text: string])[] = [
  ['src/base/a.ts', '// any: of the two, whichever comes first'],
  ['src/base/a.ts', "const policy = 'any';"],
  ['src/base/a.ts', '// TODO(the next protocol version): drop the old name'],
  ['src/server/a.ts', 'const now = Date.now();'],
  ['src/session/a.test.ts', 'const now = Date.now();'],
  ['src/session/a.ts', 'const date = new Date(timestampMs);'],
  ['src/base/a.ts', 'const only: boolean = false;'],
  ['docs/a.md', 'GET /api/homes/1'],
];

describe('the house rules', () => {
  for (const [file, text, rule] of PLANTED) {
    test(`catch in ${file}: ${text}`, () => {
      const breaches = breachesOf(file, file.endsWith('.md') ? text : HEAD + text);
      assert.equal(breaches.length, 1);
      assert.match(breaches[0]?.rule ?? '', rule);
      assert.equal(breaches[0]?.line, file.endsWith('.md') ? 1 : 2);
    });
  }

  for (const [file, text] of ALLOWED) {
    test(`allow in ${file}: ${text}`, () => {
      assert.deepEqual(breachesOf(file, file.endsWith('.md') ? text : HEAD + text), []);
    });
  }

  test('catch a file that is too long', () => {
    assert.equal(breachesOf('src/base/a.ts', HEAD + '\n'.repeat(399)).length, 0);
    assert.equal(breachesOf('src/base/a.ts', HEAD + '\n'.repeat(400)).length, 1);
  });

  test('catch a file that does not say why it exists', () => {
    assert.equal(breachesOf('src/base/a.ts', 'export {};\n').length, 1);
  });

  for (const name of ['utils.ts', 'helpers.ts', 'string-utils.ts', 'common.test.ts', 'manager.mjs']) {
    test(`catch the file name ${name}`, () => {
      assert.equal(breachesOf(`src/base/${name}`, HEAD).length, 1);
    });
  }
});
