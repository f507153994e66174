import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onTick } from './ticker.ts';

test('all who look do so in one tick, until they no longer want to', async () => {
  const seen: string[] = [];
  // The timer does not hold the process; this one does.
  const held = setInterval(() => undefined, 1000);
  const endSecond = await new Promise<() => void>((resolve) => {
    const endFirst = onTick(() => {
      seen.push('first');
      endFirst();
    });
    const end = onTick(() => {
      // In the turn of the first: nothing came between.
      seen.push('second');
      resolve(end);
    });
    queueMicrotask(() => seen.push('before'));
  });
  assert.deepEqual(seen, ['before', 'first', 'second']);
  endSecond();
  const again = await new Promise<string>((resolve) => {
    const end = onTick(() => {
      end();
      resolve('a new timer');
    });
  });
  assert.equal(again, 'a new timer');
  assert.deepEqual(seen, ['before', 'first', 'second']);
  clearInterval(held);
});
