// A channel as users hold it: handlers, subscribers, publishing, and what a removed one says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connection, joined, subscriber, testBroker } from '../../test/support/broker-fixture.ts';
import type { MessageType } from '../protocol/messages.ts';

test('there can be a handler for every type of message, and it can be taken away', () => {
  const channel = testBroker().application.createChannel('a');
  const types: MessageType[] = ['request', 'response', 'notification', 'subscribe', 'unsubscribe', 'publish'];
  for (const type of types) {
    const handler = () => type;
    assert.equal(channel.getHandler(type), undefined);
    assert.equal(channel.setHandler(type, handler), channel);
    assert.equal(channel.getHandler(type), handler);
  }
  channel.setHandler('request', undefined);
  assert.equal(channel.getHandler('request'), undefined);
  assert.notEqual(channel.getHandler('publish'), undefined);
});

test('a handler of an unknown type, and one that is no function, are refused', () => {
  const channel = testBroker().application.createChannel('a');
  assert.throws(() => channel.setHandler('REQUEST' as MessageType, () => 1), {
    code: 'USAGE_INVALID_OPTION',
    message: /one of request, response/,
  });
  assert.throws(() => channel.setHandler('request', 7 as unknown as () => void), { code: 'USAGE_INVALID_OPTION' });
});

test('publish goes out through the outlet, with payload and options', () => {
  const { application, outlet } = testBroker();
  assert.equal(application.createChannel('a').publish({ id: 1 }, { loud: true }), 1);
  assert.deepEqual(outlet.published, [['a', { id: 1 }, { loud: true }]]);
});

test('subscribing at the channel is subscribing to exactly its name', () => {
  const { application } = testBroker();
  const ann = joined(application, 'ann');
  const star = application.createChannel('*');
  const entry = subscriber(ann);
  assert.equal(star.addSubscriber(entry).added, true);
  assert.equal(star.addSubscriber(entry).added, false);
  assert.deepEqual(star.getSubscribers(), [entry]);
  assert.deepEqual(application.createChannel('other').receivers, []);
  assert.deepEqual(application.leave(ann, false, 2).subscribers, [entry]);
  assert.deepEqual(star.getSubscribers(), []);
});

test('getSubscribers shows direct subscriptions, receivers those of wildcards too', () => {
  const { application } = testBroker();
  const [own, wide] = [subscriber(connection('ann')), subscriber(connection('bob'))];
  application.subscribe('*', wide, 1);
  application.subscribe('a', own, 1);
  const channel = application.createChannel('a');
  assert.deepEqual(channel.getSubscribers(), [own]);
  assert.equal(channel.subscriberCount, 1);
  assert.deepEqual(channel.receivers, [own, wide]);
});

test('a channel removes only a subscriber of its own', () => {
  const { application } = testBroker();
  const entry = subscriber(joined(application, 'ann'));
  const [a, b] = [application.createChannel('a'), application.createChannel('b')];
  a.addSubscriber(entry);
  assert.deepEqual(b.removeSubscriber(entry), { removed: false, presence: undefined });
  assert.deepEqual(a.getSubscribers(), [entry]);
  const left = a.removeSubscriber(entry, 7);
  assert.equal(left.removed, true);
  assert.deepEqual([left.presence?.kind, left.presence?.channelId, left.presence?.at], ['leave', 'a', 7]);
  assert.equal(a.removeSubscriber(entry).removed, false);
});

test('a removed channel says so when somebody still configures it', () => {
  const { application } = testBroker();
  const channel = application.createChannel('a');
  assert.equal(application.removeChannel('a'), true);
  assert.equal(channel.removed, true);
  assert.throws(() => channel.setHandler('request', () => 1), { code: 'USAGE_CLOSED' });
  assert.throws(() => channel.use(() => true), { code: 'USAGE_CLOSED' });
});
