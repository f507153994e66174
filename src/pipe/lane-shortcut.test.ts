// When a lane looks for an answer itself, and when it leaves that to the event loop. The system is played.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { LaneShortcut } from './lane-shortcut.ts';

/** A system whose reads give what `answer` says; counts them. */
function played(answer: () => number) {
  const calls = { reads: 0, written: [] as number[], takes: Number.POSITIVE_INFINITY };
  const shortcut = new LaneShortcut(0, 1, {
    hasReaders: () => 1,
    readNow: (_fd, into) => {
      calls.reads += 1;
      into.fill(7);
      return answer();
    },
    writeNow: (_fd, bytes) => {
      const taken = Math.min(bytes.length, calls.takes);
      calls.written.push(taken);
      return taken > 0 ? taken : -constants.errno.EAGAIN;
    },
  });
  return { shortcut, calls };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Keeps the processor for so many milliseconds. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('looks that find nothing become rare, and come back when they find something', async () => {
  let found = -constants.errno.EAGAIN;
  const { shortcut, calls } = played(() => found);
  for (let n = 0; n < 5_000; n++) {
    assert.equal(shortcut.look(), undefined);
    if (n % 50 === 0) await turn();
  }
  assert.ok(calls.reads > 1 && calls.reads < 20, `${calls.reads} reads`);
  found = 3;
  calls.reads = 0;
  for (let n = 0; n < 5_000; n++) {
    shortcut.look();
    await turn();
  }
  assert.ok(calls.reads > 100, `${calls.reads} reads`);
});

test('a look that is interrupted gives what it found and counts as one in vain', async () => {
  const { shortcut, calls } = played(() => {
    work(0.5);
    return 1;
  });
  assert.equal(shortcut.look()?.length, 1);
  for (let n = 0; n < 200; n++) {
    shortcut.look();
    await turn();
  }
  assert.ok(calls.reads < 12, `${calls.reads} reads`);
});

test('one turn of the event loop does not look for ever, however much it finds', async () => {
  const { shortcut, calls } = played(() => {
    work(0.02);
    return 1;
  });
  await turn();
  let looks = 0;
  while (shortcut.look() !== undefined) looks += 1;
  assert.ok(looks <= 60, `${looks} looks`);
  assert.equal(calls.reads, looks);
  await turn();
  await turn();
  // Whether an interruption made it skip or not, it looks again.
  for (let n = 0; n < 1_100 && calls.reads === looks; n++) {
    shortcut.look();
    await turn();
  }
  assert.ok(calls.reads > looks);
});

test('what is found is never overwritten by what is found later', async () => {
  const { shortcut } = played(() => 2_000);
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
  const { shortcut, calls } = played(() => 0);
  const bytes = Buffer.from('0123456789');
  assert.equal(shortcut.write(bytes), undefined);
  calls.takes = 4;
  assert.equal(shortcut.write(bytes)?.toString(), '456789');
  calls.takes = 0;
  assert.equal(shortcut.write(bytes)?.toString(), '0123456789');
});
