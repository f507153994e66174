// Makes documents disagree with the code, each in one way, and proves that the check sees it.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { linkFaults } from '../../scripts/check-docs.mjs';
import { errorTableFaults, rewriteErrorTable } from '../../scripts/error-table.mjs';

const CODES = {
  USAGE_ONE: { kind: 'plain', retry: false, meaning: 'one' },
  PEER_TWO: { kind: 'timeout', retry: true, meaning: 'two' },
};
const HEADER = '| code | meaning | retry | class | what to do |\n|---|---|---|---|---|\n';
const ONE = '| `USAGE_ONE` | one | no | `IPCError` | Mend it. |\n';
const TWO = '| `PEER_TWO` | two | yes | `TimeoutError` | Wait. |\n';
const GOOD = `# Errors\n\n## \`USAGE_\`: caller\n\n${HEADER}${ONE}\n## \`PEER_\`: peer\n\n${HEADER}${TWO}`;

describe('the table of errors', () => {
  test('is accepted when every code has its row', () => {
    assert.deepEqual(errorTableFaults(GOOD, CODES), []);
  });

  for (const [title, text, fault] of [
    ['a code without a row', GOOD.replace(TWO, ''), /PEER_TWO: 0 rows/],
    ['a code with two rows', GOOD.replace(TWO, TWO + TWO), /PEER_TWO: 2 rows/],
    ['a row without a code', GOOD.replace(TWO, TWO + TWO.replace('TWO', 'THREE')), /PEER_THREE: no such code/],
    ['a wrong retry', GOOD.replace('| yes |', '| no |'), /PEER_TWO: the row differs/],
    ['a wrong class', GOOD.replace('TimeoutError', 'IPCError'), /PEER_TWO: the row differs/],
    ['a wrong meaning', GOOD.replace('| two |', '| too |'), /PEER_TWO: the row differs/],
    ['no advice', GOOD.replace('Wait.', ''), /PEER_TWO: the row does not say what to do/],
  ] as const) {
    test(`is refused for ${title}`, () => {
      const faults = errorTableFaults(text, CODES);
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', fault);
    });
  }

  test('is made anew from the code without losing the advice', () => {
    const broken = GOOD.replace('| yes |', '| no |').replace(ONE, '');
    assert.equal(rewriteErrorTable(broken, CODES), GOOD.replace('Mend it.', ''));
    assert.equal(rewriteErrorTable(GOOD, CODES), GOOD);
  });
});

describe('links between documents', () => {
  function faultsOf(link: string): string[] {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-links-'));
    try {
      mkdirSync(join(folder, 'docs'));
      writeFileSync(join(folder, 'README.md'), '# Top\n\n## The `a.b()` call, twice\n\n## Same\n\n## Same\n');
      writeFileSync(
        join(folder, 'docs', 'page.md'),
        `# Page\n\nSee [it](${link}).\n\n\`\`\`md\n[x](gone.md)\n\`\`\`\n`,
      );
      return linkFaults(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  for (const link of [
    '../README.md',
    '#page',
    '../README.md#the-ab-call-twice',
    '../README.md#same-1',
    'https://example.org/',
  ]) {
    test(`${link} is fine`, () => assert.deepEqual(faultsOf(link), []));
  }
  for (const link of ['gone.md', '#gone', '../README.md#gone', '../README.md#same-2']) {
    test(`${link} is caught`, () => assert.equal(faultsOf(link).length, 1));
  }
});
