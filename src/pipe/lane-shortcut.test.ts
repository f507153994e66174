// When a lane looks for an answer itself, and when it leaves that to the event loop. The system is played.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { LaneShortcut } from './lane-shortcut.ts';

/** A system with a clock of its own, whose reads take `costMs` and give what `found` says; counts them. */
function played(costMs = 0.01) {
  const calls = { now: 1_000, costMs, found: 1, reads: 0, takes: Number.POSITIVE_INFINITY };
  const system = {
    hasReaders: () => 1,
    readNow: (_fd: number, into: Uint8Array) => {
      calls.now += calls.costMs;
      calls.reads += 1;
      into.fill(7);
      return calls.found;
    },
    writeNow: (_fd: number, bytes: Uint8Array) => {
      const taken = Math.min(bytes.length, calls.takes);
      return taken > 0 ? taken : -constants.errno.EAGAIN;
    },
  };
  const shortcut = new LaneShortcut(0, 1, system, () => calls.now);
  /** Each in a turn of the event loop. */
  const looks = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await turn();
      shortcut.look();
    }
  };
  return { shortcut, calls, looks };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('looks that find nothing become rare, and come back when they find something', async () => {
  const { calls, looks } = played();
  calls.found = -constants.errno.EAGAIN;
  await looks(5_000);
  assert.ok(calls.reads > 1 && calls.reads < 20, `${calls.reads} reads`);
  calls.found = 3;
  calls.reads = 0;
  await looks(5_000);
  assert.ok(calls.reads > 100, `${calls.reads} reads`);
});

test('a look that is interrupted gives what it found and counts as one in vain', async () => {
  const { shortcut, calls, looks } = played(0.5);
  await turn();
  assert.equal(shortcut.look()?.length, 1);
  for (let n = 0; n < 200; n++) {
    // However long ago the last one was.
    calls.now += 1_000;
    await looks(1);
  }
  assert.ok(calls.reads > 2 && calls.reads < 12, `${calls.reads} reads`);
});

test('an interruption that took more than looks had earned makes them rest, in proportion', async () => {
  const { calls, looks } = played(10);
  await looks(1);
  calls.costMs = 0.01;
  calls.now += 490;
  await looks(5);
  assert.equal(calls.reads, 1);
  calls.now += 20;
  await looks(1);
  assert.equal(calls.reads, 2);
});

test('an interruption that looks have earned costs them nothing but a skip', async () => {
  const { calls, looks } = played();
  await looks(500);
  assert.equal(calls.reads, 500);
  calls.costMs = 10;
  await looks(1);
  calls.costMs = 0.01;
  await looks(2);
  assert.equal(calls.reads, 502);
});

test('one turn of the event loop does not look for ever, however much it finds', async () => {
  const { shortcut, calls, looks } = played(0.02);
  await turn();
  let count = 0;
  while (shortcut.look() !== undefined) count += 1;
  assert.ok(count > 40 && count <= 60, `${count} looks`);
  assert.equal(calls.reads, count);
  await looks(1);
  assert.equal(calls.reads, count + 1);
});

test('what is found is never overwritten by what is found later', async () => {
  const { shortcut, calls } = played();
  calls.found = 2_000;
  const found: Buffer[] = [];
  while (found.length < 60) {
    const chunk = shortcut.look();
    if (chunk !== undefined) {
      assert.deepEqual(chunk, Buffer.alloc(2_000, 7));
      found.push(chunk.fill(found.length + 10));
    }
    await turn();
  }
  for (const [index, chunk] of found.entries()) assert.deepEqual(chunk, Buffer.alloc(2_000, index + 10));
});

test('a write gives back what the pipe did not take, all of it when it took nothing', () => {
  const { shortcut, calls } = played();
  const bytes = Buffer.from('0123456789');
  assert.equal(shortcut.write(bytes), undefined);
  calls.takes = 4;
  assert.equal(shortcut.write(bytes)?.toString(), '456789');
  calls.takes = 0;
  assert.equal(shortcut.write(bytes)?.toString(), '0123456789');
});
