// Nothing gathers: after thousands of connections, subscriptions, requests and names a process holds what it
// held before, and the AbortSignal that a program uses everywhere has no listener more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { socketPath } from '../support/socket-path.ts';
import { Actor } from './actors.ts';
import { HABITS } from './heap-role.ts';
import { NOTHING } from './leftovers.ts';

/** A listener, an entry of a map or a closure for each time would be more. */
const BYTES_EACH_MAX = 48;
/** A connection takes the system's time, so there are fewer; each that was kept would be several kilobytes. */
const BYTES_EACH_CONNECTION_MAX = 1024;
const CONNECTIONS_SHARE = 0.1;

const TIMES = Number(process.env['ISTHMUS_HEAP_TIMES'] ?? 4000);

for (const habit of Object.keys(HABITS)) {
  const connects = habit.startsWith('connect');
  const times = Math.ceil(connects ? TIMES * CONNECTIONS_SHARE : TIMES);
  const bytesEachMax = connects ? BYTES_EACH_CONNECTION_MAX : BYTES_EACH_MAX;
  test(`${habit}, ${times} times over and over: memory stays as it is`, async (t) => {
    const { path, remove } = socketPath();
    t.after(remove);
    const actor = new Actor(
      t,
      { role: 'heap', tag: 'heap', path, habit, times, bytesEachMax },
      { nodeOptions: ['--expose-gc'] },
    );
    const { leastGrowth, channelCount, ...held } = await actor.says('heap');
    assert.deepEqual(held, {
      listeners: 0,
      ...NOTHING,
      members: 1,
      connections: 1,
      listed: 1,
    });
    // Idle channels are kept for a while, a bounded number of them.
    assert.ok((channelCount ?? 0) <= 1100, `${channelCount} channels`);
    assert.ok((leastGrowth ?? 0) < bytesEachMax, `${leastGrowth} bytes more each time`);
    assert.equal(await actor.ended(), 'exit 0');
  });
}
