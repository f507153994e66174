// Work groups: fair turns, the least busy first, bounds, and what a worker that goes leaves unanswered.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { connection, type TestConnection } from '../../test/support/broker-fixture.ts';
import { WorkGroup } from './work-group.ts';

const request = (id: number) => ({ id });
type Group = WorkGroup<TestConnection, { id: number }>;

test('equals take turns', () => {
  const group: Group = new WorkGroup();
  const workers = ['a', 'b', 'c'].map(connection);
  for (const worker of workers) group.add(worker, 10);
  const order = [1, 2, 3, 4, 5, 6].map((id) => {
    const given = request(id);
    const worker = group.assign(given);
    group.settle(given);
    return worker?.id;
  });
  assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'c']);
});

test('equals that are busy take turns as well', () => {
  const group: Group = new WorkGroup();
  for (const id of ['a', 'b', 'c']) group.add(connection(id), 10);
  const order = [1, 2, 3, 4, 5, 6].map((id) => group.assign(request(id))?.id);
  assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'c']);
});

test('a worker that goes costs nobody their turn', () => {
  const group: Group = new WorkGroup();
  const [a, b, c] = [connection('a'), connection('b'), connection('c')];
  for (const each of [a, b, c]) group.add(each, 10);
  const turn = (id: number) => {
    const given = request(id);
    const worker = group.assign(given);
    group.settle(given);
    return worker;
  };
  assert.equal(turn(1), a);
  group.remove(a);
  assert.equal(turn(2), b);
  group.remove(c);
  assert.equal(turn(3), b);
});

test('the one with the least in flight gets the next request', () => {
  const group: Group = new WorkGroup();
  const [slow, quick] = [connection('slow'), connection('quick')];
  group.add(slow, 10);
  group.add(quick, 10);
  assert.equal(group.assign(request(1)), slow);
  for (let id = 2; id < 6; id += 1) {
    const given = request(id);
    assert.equal(group.assign(given), quick);
    group.settle(given);
  }
  assert.deepEqual(
    group.workers().map(({ connection: { id }, inFlight }) => [id, inFlight]),
    [
      ['slow', 1],
      ['quick', 0],
    ],
  );
});

test('nobody gets more than the bound; when all are full the request is not assigned', () => {
  const group: Group = new WorkGroup();
  const [one, two] = [connection('one'), connection('two')];
  group.add(one, 1);
  group.add(two, 2);
  const given = [1, 2, 3].map(request);
  assert.deepEqual(
    given.map((each) => group.assign(each)?.id),
    ['one', 'two', 'two'],
  );
  assert.equal(group.assign(request(4)), undefined);
  assert.equal(group.inFlight, 3);
  assert.equal(group.settle(given[0] ?? request(0)), true);
  assert.equal(group.assign(request(5)), one);
});

test('a worker that goes leaves the list of what it had not answered, in order, and nothing else', () => {
  const group: Group = new WorkGroup();
  const [one, two] = [connection('one'), connection('two')];
  group.add(one, 10);
  const [first, second, third] = [request(1), request(2), request(3)];
  for (const each of [first, second, third]) group.assign(each);
  group.settle(second);
  group.add(two, 10);
  group.assign(request(4));
  assert.deepEqual(group.remove(one), [first, third]);
  assert.equal(group.inFlight, 1);
  assert.equal(group.settle(first), false, 'its late answer settles nothing');
  assert.equal(group.remove(one), undefined);
  assert.equal(group.assign(request(5)), two);
});

test('a connection serves once; serving again sets its bound anew', () => {
  const group: Group = new WorkGroup();
  const worker = connection('a');
  assert.equal(group.add(worker, 1), true);
  assert.equal(group.add(worker, 2), false);
  assert.equal(group.size, 1);
  assert.equal(group.assign(request(1)), worker);
  assert.equal(group.assign(request(2)), worker);
  assert.equal(group.assign(request(3)), undefined);
});

test('a request that was answered twice counts once', () => {
  const group: Group = new WorkGroup();
  group.add(connection('a'), 10);
  const given = request(1);
  group.assign(given);
  assert.equal(group.settle(given), true);
  assert.equal(group.settle(given), false);
  assert.equal(group.workers()[0]?.inFlight, 0);
});

test('whatever happens, the load stays even, within bounds and counted', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('assign' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const), pick: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('add' as const, 'remove' as const), pick: fc.nat(4) }) },
  );
  const workers = ['a', 'b', 'c', 'd', 'e'].map(connection);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const group: Group = new WorkGroup();
      const held = new Map<{ id: number }, TestConnection>();
      const load = (worker: TestConnection) => [...held.values()].filter((each) => each === worker).length;
      const serving = new Set<TestConnection>();
      for (const [id, each] of steps.entries()) {
        if (each.kind === 'assign') {
          const open = [...serving].filter((worker) => load(worker) < 3);
          const least = Math.min(...open.map(load));
          const given = request(id);
          const worker = group.assign(given);
          if (worker === undefined) assert.equal(open.length, 0);
          else {
            assert.equal(load(worker), least);
            held.set(given, worker);
          }
        } else if (each.kind === 'settle') {
          const given = [...held.keys()][each.pick % Math.max(1, held.size)];
          if (given !== undefined) assert.equal(group.settle(given) && held.delete(given), true);
        } else {
          const worker = workers[each.pick] ?? connection('none');
          if (each.kind === 'add') {
            assert.equal(group.add(worker, 3), !serving.has(worker));
            serving.add(worker);
          } else {
            const expected = [...held].filter(([, holder]) => holder === worker).map(([given]) => given);
            assert.deepEqual(group.remove(worker), serving.delete(worker) ? expected : undefined);
            for (const given of expected) held.delete(given);
          }
        }
        assert.equal(group.inFlight, held.size);
        for (const { connection: worker, inFlight } of group.workers()) assert.equal(inFlight, load(worker));
      }
    }),
  );
});
