// The queue of those who wait: who is served when, and what is left of those who gave up.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FOREVER } from './options.ts';
import { WaitingQueue } from './waiting.ts';

interface Fate {
  readonly gives: 'up' | 'nothing';
}

test('who waits is served in the order in which he came, whoever gave up between, before or behind him', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record<Fate>({ gives: fc.constantFrom('up', 'nothing') })), async (fates) => {
      const gone: number[] = [];
      const queue = new WaitingQueue<string, number>('receive', 'test', (what) => gone.push(what));
      const ends = fates.map(({ gives }, what) => {
        const controller = new AbortController();
        const waiting = queue.add(what, gives === 'up' ? { ...FOREVER, signal: controller.signal } : FOREVER);
        return {
          end: waiting.then(
            (value) => value,
            (error: Error) => error.name,
          ),
          giveUp: () => controller.abort(),
          gives,
        };
      });
      for (const { gives, giveUp } of ends) if (gives === 'up') giveUp();
      const staying = fates.flatMap(({ gives }, what) => (gives === 'up' ? [] : [what]));
      assert.equal(queue.size, staying.length);
      const served: (number | undefined)[] = [];
      while (queue.size > 0) {
        served.push(queue.first);
        queue.resolveFirst('served');
      }
      assert.deepEqual(served, staying);
      assert.deepEqual(
        gone,
        fates.flatMap(({ gives }, what) => (gives === 'up' ? [what] : [])),
      );
      assert.equal(queue.first, undefined);
      for (const { end, gives } of ends) assert.equal(await end, gives === 'up' ? 'AbortError' : 'served');
    }),
  );
});

test('those whose matter is settled are taken out wherever they stand, and the others stay in order', async () => {
  const queue = new WaitingQueue<string, number>('receive', 'test', () => assert.fail('nobody has given up'));
  const ends = [1, 2, 3, 4, 5].map((what) => queue.add(what, FOREVER).catch((error: Error) => error.message));
  queue.resolveWhere((what) => what % 2 === 1, 'odd');
  queue.rejectOf(4, new Error('not wanted'));
  assert.deepEqual([queue.size, queue.first], [1, 2]);
  const late = queue.add(6, FOREVER);
  queue.resolveFirst('first');
  queue.resolveFirst('then');
  queue.resolveFirst('nobody');
  assert.deepEqual([...(await Promise.all(ends)), await late], ['odd', 'first', 'odd', 'not wanted', 'odd', 'then']);
  assert.equal(queue.size, 0);
});

test('rejectAll ends the waiting of all', async () => {
  const queue = new WaitingQueue<string, number>('receive', 'test', () => undefined);
  const ends = [1, 2].map((what) => queue.add(what, FOREVER).catch((error: Error) => error.message));
  queue.rejectAll(() => new Error('closed'));
  assert.deepEqual([queue.size, ...(await Promise.all(ends))], [0, 'closed', 'closed']);
});
