// Retained values: the last one only, within the room of the application and of the server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RetainedValues } from './retained.ts';

const channel = (channelId: string) => ({ channelId });
const kept = (message: string) => ({ message, bytes: message.length });
const room = (bytesMax = 1_000_000) => ({ bytesMax, bytes: 0 });

test('the last value of a channel is kept, and only that', () => {
  const values = new RetainedValues<{ channelId: string }, string>(100, room());
  const a = channel('a');
  assert.deepEqual(values.set(a, kept('one')), []);
  assert.deepEqual(values.set(a, kept('three')), []);
  assert.equal(values.get(a), 'three');
  assert.equal(values.bytes, 5);
  assert.equal(values.size, 1);
  assert.equal(values.get(channel('a')), undefined, 'a newer channel of the same name has no value');
});

test('when the room is full, the value set longest ago goes', () => {
  const values = new RetainedValues<{ channelId: string }, string>(10, room());
  const [a, b, c] = [channel('a'), channel('b'), channel('c')];
  values.set(a, kept('1234'));
  values.set(b, kept('1234'));
  values.set(a, kept('4321'));
  assert.deepEqual(values.set(c, kept('1234')), [b]);
  assert.deepEqual([values.get(a), values.get(b), values.get(c)], ['4321', undefined, '1234']);
  assert.equal(values.bytes, 8);
});

test('a value larger than the room is not kept, nor is the outdated one before it', () => {
  const values = new RetainedValues<{ channelId: string }, string>(4, room());
  const [a, b] = [channel('a'), channel('b')];
  values.set(a, kept('1'));
  values.set(b, kept('2'));
  assert.deepEqual(values.set(a, kept('12345')), [a]);
  assert.equal(values.get(a), undefined);
  assert.equal(values.get(b), '2', 'others lose nothing for it');
  assert.equal(values.bytes, 1);
});

test('applications share one room: who needs more than is left gives up its own values', () => {
  const shared = room(10);
  const first = new RetainedValues<{ channelId: string }, string>(10, shared);
  const second = new RetainedValues<{ channelId: string }, string>(10, shared);
  const [a, b, c] = [channel('a'), channel('b'), channel('c')];
  first.set(a, kept('123456'));
  second.set(b, kept('123'));
  assert.deepEqual(second.set(c, kept('1234')), [b]);
  assert.equal(shared.bytes, 10);
  assert.deepEqual(second.set(b, kept('12345')), [c, b]);
  assert.equal(first.get(a), '123456');
  first.delete(a);
  assert.equal(shared.bytes, 0);
});

test('a late wildcard subscriber is due the values of all channels it matches', () => {
  const values = new RetainedValues<{ channelId: string }, string>(100, room());
  const [eu, us, other, system] = ['orders.eu', 'orders.us.north', 'other', '$presence'].map(channel);
  for (const each of [eu, us, other, system]) if (each !== undefined) values.set(each, kept(each.channelId));
  assert.deepEqual(values.matching('orders.*'), [{ channel: eu, message: 'orders.eu' }]);
  assert.deepEqual(
    values.matching('>').map(({ message }) => message),
    ['orders.eu', 'orders.us.north', 'other'],
  );
});

test('the count of bytes is that of the values, and never beyond the bounds', () => {
  const channels = ['a', 'b', 'c', 'd'].map(channel);
  const step = fc.record({ pick: fc.nat(3), bytes: fc.nat(12), away: fc.boolean(), store: fc.nat(1) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const shared = room(15);
      const stores = [10, 12].map((max) => new RetainedValues<{ channelId: string }, string>(max, shared));
      for (const { pick, bytes, away, store } of steps) {
        const values = stores[store];
        const target = channels[pick];
        if (values === undefined || target === undefined) continue;
        if (away) values.delete(target);
        else {
          const message = 'x'.repeat(bytes);
          const evicted = values.set(target, kept(message));
          assert.equal(values.get(target), evicted.includes(target) ? undefined : message);
          for (const loser of evicted) assert.equal(values.has(loser), false);
        }
        const sum = (of: RetainedValues<{ channelId: string }, string>) =>
          channels.reduce((total, each) => total + (of.get(each)?.length ?? 0), 0);
        for (const [index, each] of stores.entries()) {
          assert.equal(each.bytes, sum(each));
          assert.ok(each.bytes <= (index === 0 ? 10 : 12));
        }
        assert.equal(
          shared.bytes,
          stores.reduce((total, each) => total + each.bytes, 0),
        );
        assert.ok(shared.bytes <= 15);
      }
    }),
  );
});
