// Subscriptions: one delivery each, removed one by one or with their connection, never with another's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connection, subscriber, type TestSubscriber } from '../../test/support/broker-fixture.ts';
import { Subscriptions } from './subscriptions.ts';

const direct = (filter: string) => ({ filter, pattern: false });
const wild = (filter: string) => ({ filter, pattern: true });

test('each subscription of a connection gets a delivery of its own', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const ann = connection('ann');
  const [first, second, third] = [subscriber(ann, '1'), subscriber(ann, '2'), subscriber(ann, '3')];
  subscriptions.add(first, direct('orders.eu'));
  subscriptions.add(second, direct('orders.eu'));
  subscriptions.add(third, wild('orders.*'));
  assert.deepEqual(subscriptions.audience('orders.eu').receivers, [first, second, third]);
  assert.equal(subscriptions.countOf(ann), 3);
});

test('who leaves takes nobody along', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const [ann, bob] = [connection('ann'), connection('bob')];
  const [annFirst, annSecond, bobs] = [subscriber(ann, '1'), subscriber(ann, '2'), subscriber(bob)];
  for (const entry of [annFirst, annSecond, bobs]) subscriptions.add(entry, direct('chat'));
  assert.deepEqual(subscriptions.remove(annFirst), direct('chat'));
  assert.deepEqual(subscriptions.audience('chat').receivers, [annSecond, bobs]);
  subscriptions.remove(annSecond);
  assert.equal(subscriptions.connectionCount, 1, 'nothing is kept for a connection that holds nothing');
});

test('a connection that goes leaves no ghost, wherever it had subscribed', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const [ann, bob] = [connection('ann'), connection('bob')];
  const bobs = subscriber(bob);
  subscriptions.add(subscriber(ann, '1'), direct('a.b'));
  subscriptions.add(subscriber(ann, '2'), wild('a.*'));
  subscriptions.add(subscriber(ann, '3'), wild('>'));
  subscriptions.add(bobs, wild('a.>'));
  const ended = subscriptions.removeAllOf(ann);
  assert.deepEqual(
    ended.map(({ subscriber: { id }, place }) => [id, place.filter]),
    [
      ['1', 'a.b'],
      ['2', 'a.*'],
      ['3', '>'],
    ],
  );
  assert.deepEqual(subscriptions.audience('a.b').receivers, [bobs]);
  assert.equal(subscriptions.countOf(ann), 0);
  assert.equal(subscriptions.connectionCount, 1);
  assert.equal(subscriptions.size, 1);
  assert.deepEqual(subscriptions.removeAllOf(ann), []);
});

test('an entry that is there already is not added again, and never moves silently', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const entry = subscriber(connection('ann'));
  assert.equal(subscriptions.add(entry, direct('a')), true);
  assert.equal(subscriptions.add(entry, direct('a')), false);
  assert.deepEqual(subscriptions.audience('a').receivers, [entry]);
  assert.throws(() => subscriptions.add(entry, direct('b')), { code: 'SYSTEM_UNEXPECTED' });
  assert.deepEqual(subscriptions.audience('b').receivers, []);
});

test('the receivers are the same array until a subscription that matters changes', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const ann = connection('ann');
  const first = subscriber(ann, '1');
  subscriptions.add(first, direct('a'));
  const audience = subscriptions.audience('a');
  const before = audience.receivers;
  assert.equal(audience.receivers, before);
  subscriptions.add(subscriber(ann, '2'), direct('b'));
  assert.equal(audience.receivers, before);
  subscriptions.add(subscriber(ann, '3'), wild('*'));
  assert.equal(audience.receivers.length, 2);
  assert.deepEqual(before, [first], 'an array once given is not changed');
});

test('subscriptions that come and go while the receivers are walked disturb nobody', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const entries = ['1', '2', '3'].map((id) => subscriber(connection(id), id));
  for (const entry of entries) subscriptions.add(entry, direct('a'));
  const heard: string[] = [];
  for (const entry of subscriptions.audience('a').receivers) {
    heard.push(entry.id);
    subscriptions.remove(entry);
    subscriptions.add(subscriber(connection(`${entry.id}'`), `${entry.id}'`), direct('a'));
  }
  assert.deepEqual(heard, ['1', '2', '3']);
  assert.deepEqual(
    subscriptions.audience('a').receivers.map(({ id }) => id),
    ["1'", "2'", "3'"],
  );
});

test('forgetting a channel ends its direct subscriptions and gives them back', () => {
  const subscriptions = new Subscriptions<TestSubscriber>();
  const ann = connection('ann');
  const [own, wide] = [subscriber(ann, 'own'), subscriber(ann, 'wide')];
  subscriptions.add(own, direct('a'));
  subscriptions.add(wide, wild('*'));
  const before = subscriptions.audience('a');
  assert.deepEqual(subscriptions.forget('a'), [own]);
  assert.notEqual(subscriptions.audience('a'), before);
  assert.equal(subscriptions.countOf(ann), 1);
  assert.deepEqual(subscriptions.audience('a').receivers, [wide]);
  assert.deepEqual(subscriptions.forget('never'), []);
});
