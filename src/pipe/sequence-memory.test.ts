import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SequenceMemory } from './sequence-memory.ts';

test('the last ones are remembered, as many as it was told, from any sequence on and across the end of them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(2 ** 32 - 1), fc.nat(2_000), (remembered, first, count) => {
      const memory = new SequenceMemory(remembered);
      const seqOf = (n: number): number => (first + n) >>> 0;
      for (let n = 0; n < count; n++) {
        assert.equal(memory.has(seqOf(n)), false);
        memory.add(seqOf(n));
      }
      for (let n = Math.max(0, count - remembered); n < count; n++) assert.equal(memory.has(seqOf(n)), true);
      assert.equal(memory.has(seqOf(count)), false);
    }),
  );
});

test('what was never put in is not remembered, the first and the last sequence least of all', () => {
  const memory = new SequenceMemory(10);
  for (const seq of [0, 1, 63, 64, 2 ** 32 - 1]) assert.equal(memory.has(seq), false);
  memory.add(7);
  for (const seq of [0, 1, 8, 63, 64, 2 ** 32 - 1]) assert.equal(memory.has(seq), false);
});

test('it takes room for what is there, and never more than it was told', () => {
  const memory = new SequenceMemory(1_000);
  assert.equal(memory.room, 0);
  for (let seq = 0; seq < 60; seq++) memory.add(seq);
  assert.equal(memory.room, 64);
  for (let seq = 0; seq < 50_000; seq++) memory.add(seq);
  assert.equal(memory.room, 1_024);
  const none = new SequenceMemory(0);
  none.add(1);
  assert.equal(none.has(1), false);
});
