// The compiler forbids a pure layer what only Node or a browser has. Planted here: each kind once.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const ROOT = process.cwd();
const CONFIGURATION = ['tsconfig.json', 'tsconfig.pure.json', 'package.json', 'types/portable.d.ts'];

/** One expression a file, and the name that the compiler must not find. */
const FORBIDDEN = [
  ['process.pid', 'process'],
  ["Buffer.from('a')", 'Buffer'],
  ['document.title', 'document'],
  ['setTimeout(() => undefined, 1)', 'setTimeout'],
  ['queueMicrotask(() => undefined)', 'queueMicrotask'],
  ['performance.now()', 'performance'],
  ['crypto.randomUUID()', 'crypto'],
  ['console.log(1)', 'console'],
  ["fetch('a')", 'fetch'],
] as const;

describe('the types of pure layers', () => {
  let folder = '';
  let output = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-pure-'));
    for (const path of ['src/base', 'src/server', 'types']) mkdirSync(join(folder, path), { recursive: true });
    for (const path of CONFIGURATION) cpSync(join(ROOT, path), join(folder, path));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction');
    for (const [index, [expression]] of FORBIDDEN.entries()) {
      writeFileSync(join(folder, 'src/base', `bad-${index}.ts`), `export const a = ${expression};\n`);
    }
    const fine = 'export const e = (signal: AbortSignal) => signal.aborted || new TextEncoder().encode().length > 0;\n';
    writeFileSync(join(folder, 'src/base/fine.ts'), fine);
    writeFileSync(join(folder, 'src/base/node.test.ts'), 'export const p = process.pid;\n');
    writeFileSync(join(folder, 'src/server/node.ts'), 'export const p = process.pid;\n');
    const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
    const result = spawnSync(compiler, ['-p', 'tsconfig.pure.json', '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
    });
    output = result.stdout;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [index, [expression, name]] of FORBIDDEN.entries()) {
    test(`lack ${name}: ${expression}`, () => {
      assert.match(output, new RegExp(`^src/base/bad-${index}\\.ts.*Cannot find name '${name}'`, 'm'));
    });
  }

  test('have what every runtime has, and leave other layers and tests alone', () => {
    assert.doesNotMatch(output, /^(?!src\/base\/bad-)\S/m);
  });
});
