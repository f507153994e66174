import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SequenceTable } from './sequence-table.ts';

test('it holds what a map would hold, whatever comes and goes', () => {
  // Few sequences far apart and many near each other, so that they meet in the same slots.
  const seq = fc.oneof(
    fc.nat(40),
    fc.nat(1_000).map((n) => n * 64),
    fc.nat(2 ** 32 - 1),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), seq), { maxLength: 300 }), (steps) => {
      const table = new SequenceTable<{ readonly seq: number }>();
      const map = new Map<number, { readonly seq: number }>();
      for (const [isAdded, one] of steps) {
        if (isAdded && !map.has(one)) {
          const item = { seq: one };
          table.add(item);
          map.set(one, item);
        } else if (!isAdded) {
          assert.equal(table.delete(one), map.delete(one));
        }
        assert.equal(table.get(one), map.get(one));
        assert.equal(table.size, map.size);
      }
      for (const [one, item] of map) assert.equal(table.get(one), item);
      assert.deepEqual(new Set(table.values()), new Set(map.values()));
    }),
  );
});

test('it gives what it holds in the order of the sequences, across their end', () => {
  const table = new SequenceTable<{ readonly seq: number }>();
  const order = [2 ** 32 - 3, 2 ** 32 - 2, 2 ** 32 - 1, 0, 1, 2];
  for (const seq of [0, 2 ** 32 - 2, 2, 2 ** 32 - 1, 1, 2 ** 32 - 3]) table.add({ seq });
  assert.deepEqual(
    table.values().map(({ seq }) => seq),
    order,
  );
});

test('after very many were there at once it is as it was before', () => {
  const table = new SequenceTable<{ readonly seq: number }>();
  for (let round = 0; round < 3; round++) {
    for (let seq = 0; seq < 20_000; seq++) table.add({ seq });
    for (let seq = 19_999; seq >= 0; seq--) assert.equal(table.delete(seq), true);
    assert.equal(table.size, 0);
    assert.equal(table.get(5), undefined);
  }
});
