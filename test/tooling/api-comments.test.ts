// Whatever an entry exports without a comment is named; each way to lack one is planted here once.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentExports } from '../../scripts/api-comments.mjs';

const INNER = `
export interface Silent {
  x: number;
  /** Said. */
  y: number;
}
export function silent(): void {}
/** A class. */
export class Spoken {
  /** Said. */
  said = 1;
  unsaid = 2;
  #hidden = 3;
  private alsoHidden = this.#hidden;
  /** A pair. */
  get pair(): number { return this.alsoHidden; }
  method(): void {}
  [Symbol.iterator](): void {}
}
/** Inherits. */
export class Child extends Spoken {}
/** A value. */
export const spoken = 1;
export const unspoken = 2;
export type SilentType = string;
export function notExported(): void {}
`;

test('exports and public members without a comment are named, whatever they are called outside', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-comments-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'inner.ts'), INNER);
  const entry = join(folder, 'index.ts');
  writeFileSync(
    entry,
    `export { silent as renamed, Child, Spoken, spoken, unspoken } from './inner.ts';
export type { Silent, SilentType } from './inner.ts';\n`,
  );
  assert.deepEqual(silentExports([entry]), [
    'Child.method',
    'Child.unsaid',
    'Silent',
    'Silent.x',
    'SilentType',
    'Spoken.method',
    'Spoken.unsaid',
    'renamed',
    'unspoken',
  ]);
});
