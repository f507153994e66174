// When what was laid out in a turn is written: most of it at once when the turn ends, the first small frames before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameType } from '../protocol/frame-types.ts';
import { SlabPool } from '../session/slab-pool.ts';
import type { Wire } from '../transports/wire.ts';
import { Outflow } from './outflow.ts';
import { Turn } from './turn.ts';

const FRAME_BYTES = 20;

/** An outflow whose wire takes everything, the bytes of each write, and what ends the turn. */
function flowing(): { lay(payloadBytes: number): void; writes: number[]; endTurn(): void } {
  const writes: number[] = [];
  let endTurn = (): void => undefined;
  const wire: Pick<Wire, 'write' | 'bufferedBytes'> = {
    bufferedBytes: 0,
    write(parts, done) {
      writes.push(parts.reduce((sum, { length }) => sum + length, 0));
      done();
      return true;
    },
  };
  const turn = new Turn((run) => (endTurn = run));
  const options = { pool: new SlabPool(), turn, congestedBytes: 1 << 20, farewellMs: 1 };
  const outflow = new Outflow(wire as Wire, options, () => undefined);
  return {
    writes,
    endTurn: () => endTurn(),
    lay(payloadBytes) {
      outflow.writer.frame(FrameType.PUBLISH, 0, 0, 0, 1, 0, new Uint8Array(payloadBytes));
      outflow.touch();
    },
  };
}

test('a few frames are written when the turn ends, as one', () => {
  const { lay, writes, endTurn } = flowing();
  for (let i = 0; i < 10; i += 1) lay(80);
  assert.deepEqual(writes, []);
  endTurn();
  assert.deepEqual(writes, [10 * 100]);
});

test('of many, the first leave before the turn ends, once in each turn, and nothing is written twice', () => {
  const { lay, writes, endTurn } = flowing();
  for (const turn of [1, 2]) {
    for (let i = 0; i < 500; i += 1) lay(80);
    assert.equal(writes.length, 2 * turn - 1);
    endTurn();
    assert.deepEqual(writes.slice(-2), [4100, 50_000 - 4100]);
  }
});

test('what is large anyway is not cut for that', () => {
  const { lay, writes, endTurn } = flowing();
  lay(60_000);
  lay(60_000);
  assert.deepEqual(writes, []);
  endTurn();
  assert.deepEqual(writes, [2 * (FRAME_BYTES + 60_000)]);
});

test('more than a write should carry does not wait for the end of the turn', () => {
  const { lay, writes } = flowing();
  for (let i = 0; i < 5; i += 1) lay(60_000);
  assert.deepEqual(writes, [5 * (FRAME_BYTES + 60_000)]);
});
