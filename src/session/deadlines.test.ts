// Deadlines are met in order of time, never early, and cost nothing once removed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadline, DEADLINE_GRAIN_MS, Deadlines } from './deadlines.ts';

class Item extends Deadline {
  readonly name: number;
  constructor(name: number) {
    super();
    this.name = name;
  }
}

test('nothing expires early, everything expires within one grain, and what was removed never does', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), inMs: fc.nat(500) }),
    fc.record({ kind: fc.constant('remove' as const), which: fc.nat(50) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const wheel = new Deadlines<Item>();
      const model = new Map<Item, number>();
      const all: Item[] = [];
      let now = 0;
      for (const step of operations) {
        if (step.kind === 'add') {
          const item = new Item(all.length);
          all.push(item);
          wheel.add(item, now + step.inMs);
          model.set(item, now + step.inMs);
        } else if (step.kind === 'remove') {
          const item = all[step.which];
          if (item === undefined) continue;
          wheel.remove(item);
          model.delete(item);
        } else {
          now += step.ms;
          for (const item of wheel.expire(now)) {
            const dueAt = model.get(item);
            assert.ok(dueAt !== undefined && dueAt <= now, `item ${item.name} expired early, twice or though removed`);
            model.delete(item);
          }
          for (const dueAt of model.values()) assert.ok(dueAt + 2 * DEADLINE_GRAIN_MS >= now, 'an item was forgotten');
        }
        assert.equal(wheel.size, model.size);
      }
    }),
  );
});

test('the next moment of expiry is told, and none when the wheel is empty', () => {
  const wheel = new Deadlines<Item>();
  assert.equal(wheel.nextDueAt(), undefined);
  const item = new Item(1);
  wheel.add(item, 100);
  const next = wheel.nextDueAt() as number;
  assert.ok(next >= 100 && next <= 100 + DEADLINE_GRAIN_MS);
  assert.deepEqual(wheel.expire(next - 1), []);
  assert.deepEqual(wheel.expire(next), [item]);
  assert.equal(wheel.nextDueAt(), undefined);
});
