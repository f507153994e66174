import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WriteBatch } from './write-batch.ts';

test('small ones are joined, large ones are left as they are, and the order stays', () => {
  const batch = new WriteBatch();
  const [a, b, large] = [Buffer.from('a'), Buffer.from('b'), Buffer.alloc(20_000)];
  for (const bytes of [a, b, large, a]) batch.add(bytes);
  const taken = batch.take();
  assert.deepEqual(taken, [Buffer.from('ab'), large, a]);
  assert.equal(taken[1], large);
  assert.deepEqual(batch.take(), []);
});

test('what was taken is not overwritten until its room is given back', () => {
  const size = fc.oneof(fc.nat(200), fc.nat(70_000));
  fc.assert(
    fc.property(fc.array(fc.array(size, { maxLength: 8 }), { maxLength: 8 }), (turns) => {
      const batch = new WriteBatch();
      const wanted: Buffer[] = [];
      const got: Buffer[] = [];
      let fill = 0;
      for (const sizes of turns) {
        for (const bytes of sizes) {
          fill = (fill + 1) % 251;
          wanted.push(Buffer.alloc(bytes, fill));
          batch.add(Buffer.alloc(bytes, fill));
        }
        got.push(...batch.take());
      }
      assert.equal(Buffer.concat(got).equals(Buffer.concat(wanted)), true);
    }),
  );
});

test('room that was given back is used again', () => {
  const batch = new WriteBatch();
  batch.add(Buffer.from('first'));
  const [first] = batch.take();
  batch.reuse();
  batch.add(Buffer.from('again'));
  const [again] = batch.take();
  assert.equal(again?.buffer, first?.buffer);
  assert.equal(again?.byteOffset, first?.byteOffset);
});
