// The tables of docs/options.md come from the comments in the code. Each way in which the two can differ is
// planted here once.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { optionFaults, readOptions, rewriteOptions } from '../../scripts/option-tables.mjs';

const SOURCE = `
export interface LinkOptions {
  /** How long to wait,
   * in milliseconds. */
  readonly waitMs?: number;
  /** One of two. */
  readonly mode?: 'a' | 'b';
  /** Deeper. */
  readonly place?: Partial<HiddenOptions>;
}
/** A union of shapes. */
export type PlaceOptions =
  | {
      /** By port. */
      port: number;
    }
  | {
      /** By path. */
      path: string;
    };
export interface Details { x: number }
interface HiddenOptions { y: number }
export type Uses = HiddenOptions;
`;

const LINK = `## \`LinkOptions\`

Words by hand.

| option | type | meaning |
|---|---|---|
| \`waitMs\` | \`number\` | How long to wait, in milliseconds. |
| \`mode\` | \`'a' \\| 'b'\` | One of two. |
| \`place\` | \`Partial<HiddenOptions>\` | Deeper. |
`;
const PLACE = `## \`PlaceOptions\`

| option | type | meaning |
|---|---|---|
| \`port\` | \`number\` | By port. |
| \`path\` | \`string\` | By path. |
`;
const GOOD = `# Options\n\nAn introduction.\n\n${LINK}\n${PLACE}`;

describe('the tables of options', () => {
  let folder = '';
  let tables: ReturnType<typeof readOptions>['tables'];
  let hidden: readonly string[];

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-options-'));
    const entry = join(folder, 'entry.mts');
    writeFileSync(entry, SOURCE);
    ({ tables, hidden } = readOptions([entry]));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('have a section for each exported option type and for nothing else', () => {
    assert.deepEqual([...tables.keys()], ['LinkOptions', 'PlaceOptions']);
    assert.deepEqual(optionFaults(GOOD, tables), []);
  });

  test('refer to no options that users cannot name', () => {
    assert.deepEqual(hidden, ['HiddenOptions']);
  });

  test('are made anew without losing what is written by hand', () => {
    assert.equal(rewriteOptions(GOOD, tables), GOOD);
    assert.equal(rewriteOptions(GOOD.replace('How long', 'How'), tables), GOOD);
    assert.equal(rewriteOptions(GOOD.replace(PLACE, ''), tables), GOOD);
    assert.equal(rewriteOptions(`${GOOD}\n## \`GoneOptions\`\n\nOld.\n`, tables), GOOD);
  });

  for (const [title, text, fault] of [
    ['a section is missing', GOOD.replace(PLACE, ''), /PlaceOptions: 0 sections/],
    ['a section is there twice', `${GOOD}\n${PLACE}`, /PlaceOptions: 2 sections/],
    ['a meaning differs', GOOD.replace('One of two', 'One of three'), /LinkOptions: the table is out of date/],
    ['a type differs', GOOD.replace('`number` | How', '`string` | How'), /LinkOptions: the table is out of date/],
    [
      'a row is missing',
      GOOD.replace('| `path` | `string` | By path. |\n', ''),
      /PlaceOptions: the table is out of date/,
    ],
    ['options are documented that nobody exports', `${GOOD}\n## \`GoneOptions\`\n`, /GoneOptions: no entry exports/],
  ] as const) {
    test(`are refused when ${title}`, () => {
      const faults = optionFaults(text, tables);
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0] ?? '', fault);
    });
  }

  test('are refused when a member has no comment', () => {
    const bare = new Map([['BareOptions', [{ option: 'a', type: 'number', meaning: '' }]]]);
    assert.match(optionFaults(rewriteOptions('# Options\n', bare), bare).join('\n'), /BareOptions\.a: no comment/);
  });
});
