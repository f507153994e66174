// docs/shared-memory.md against the code that it describes.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (...path: string[]): string => readFileSync(join(process.cwd(), ...path), 'utf8');

test('the table of crash points has every fault point of the code, and no other', () => {
  const sources = readdirSync(join(process.cwd(), 'native', 'ring')).filter((file) => file.endsWith('.cc'));
  const code = sources.map((file) => read('native', 'ring', file)).join('\n');
  const points = new Set([...code.matchAll(/FAULT\("([^"]+)"\)/g)].map(([, point = '']) => point));
  assert.ok(points.size > 30);
  const [, table = ''] = read('docs', 'shared-memory.md').split('### Killed there');
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  const named = new Set<string>();
  let area = '';
  for (const row of rows) {
    for (const [, name = ''] of (row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)) {
      // `.pad` stands for the area of the name before it.
      if (!name.startsWith('.')) area = name.slice(0, name.indexOf('.'));
      const full = name.startsWith('.') ? area + name : name;
      if (full.endsWith('.*')) for (const point of points) if (point.startsWith(full.slice(0, -1))) named.add(point);
      if (!full.endsWith('.*')) named.add(full);
    }
  }
  assert.deepEqual([...named].sort(), [...points].sort());
});

test('the version of the layout that is described is the one of the code', () => {
  const [, version] = /kLayoutVersion = (\d+)/.exec(read('native', 'ring', 'layout.h')) ?? [];
  assert.match(read('docs', 'shared-memory.md'), new RegExp(`Layout version ${version}:`));
});
