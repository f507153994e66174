// What an application promises: channels made once, limits, late subscribers, departures that leave nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  connection,
  joined,
  subscriber,
  testBroker,
  TestOutlet,
  type TestTypes,
} from '../../test/support/broker-fixture.ts';
import { Application } from './application.ts';
import { applicationSettings } from './application-options.ts';
import { ChannelNumbers } from './channel-numbers.ts';
import { MiddlewareStack } from './middleware.ts';
import { publish } from './router.ts';

test('a channel is made once, with the time and a number of its own', () => {
  const { application, applications, outlet } = testBroker();
  outlet.time = 42;
  const channel = application.createChannel('orders');
  assert.equal(channel.appId, 'shop');
  assert.equal(channel.channelId, 'orders');
  assert.equal(channel.createdAt, 42);
  assert.equal(application.createChannel('orders'), channel);
  assert.equal(application.getChannel('orders'), channel);
  assert.equal(application.getChannel('other'), undefined);
  const elsewhere = applications.createApplication('desk').createChannel('orders');
  assert.notEqual(elsewhere.number, channel.number, 'numbers are unique in the server');
});

test('making a channel again sets the options that are given, and no others', () => {
  const { application } = testBroker({ application: { channelDefaults: { policy: 'drop-oldest' } } });
  const channel = application.createChannel('a', { retain: true });
  assert.deepEqual([channel.settings.policy, channel.settings.retain], ['drop-oldest', true]);
  application.createChannel('a', { policy: 'disconnect' });
  assert.deepEqual([channel.settings.policy, channel.settings.retain], ['disconnect', true]);
  application.createChannel('a');
  assert.equal(channel.settings.policy, 'disconnect');
});

test('a wrong name or option makes no channel', () => {
  const { application } = testBroker();
  assert.throws(() => application.createChannel(''), { code: 'USAGE_INVALID_NAME' });
  assert.throws(() => application.createChannel('a', { outboxBytesMax: 1 }), { code: 'USAGE_INVALID_OPTION' });
  assert.throws(() => application.channelFor('a\n', 1), { code: 'USAGE_INVALID_NAME' });
  assert.deepEqual(application.listChannels(), {});
});

test('the list shows direct subscriptions and the time of making, whatever the channel is called', () => {
  const { application, outlet } = testBroker();
  outlet.time = 7;
  application.createChannel('__proto__');
  application.subscribe('__proto__', subscriber(connection('ann')), 8);
  application.subscribe('>', subscriber(connection('bob')), 8);
  application.subscribe('chat', subscriber(connection('bob')), 9);
  assert.deepEqual(Object.entries(application.listChannels()), [
    ['__proto__', { subscribers: 1, createdAt: 7 }],
    ['chat', { subscribers: 1, createdAt: 9 }],
  ]);
});

test('where channels are not made automatically, only those that were made can be used', () => {
  const { application } = testBroker({ application: { autoCreateChannels: false } });
  const ann = connection('ann');
  assert.throws(() => application.subscribe('a', subscriber(ann), 1), { code: 'REMOTE_NO_CHANNEL' });
  assert.throws(() => application.serve('a', ann, 1, 1), { code: 'REMOTE_NO_CHANNEL' });
  application.createChannel('a');
  assert.equal(application.subscribe('a', subscriber(ann), 1).added, true);
  assert.equal(application.subscribe('*', subscriber(ann), 1).added, true, 'a pattern needs no channel');
});

test('a malformed pattern or name is refused before anything is kept', () => {
  const { application } = testBroker();
  for (const filter of ['a.>.b', '$presence.*', '', 'a\u0000']) {
    assert.throws(() => application.subscribe(filter, subscriber(connection('ann')), 1), {
      code: 'USAGE_INVALID_NAME',
    });
  }
  assert.equal(application.subscriptionCount, 0);
  assert.equal(application.channelCount, 0);
});

test('subscriptions and served channels of one connection are limited together', () => {
  const { application } = testBroker({ application: { subscriptionsMax: 3 } });
  const [ann, bob] = [connection('ann'), connection('bob')];
  const first = subscriber(ann, '1');
  application.subscribe('a', first, 1);
  application.subscribe('b.*', subscriber(ann, '2'), 1);
  application.serve('jobs', ann, 1, 1);
  assert.throws(() => application.subscribe('c', subscriber(ann, '3'), 1), { code: 'LIMIT_SUBSCRIPTIONS' });
  assert.throws(() => application.subscribe('c.*', subscriber(ann, '3'), 1), { code: 'LIMIT_SUBSCRIPTIONS' });
  assert.throws(() => application.serve('jobs2', ann, 1, 1), { code: 'LIMIT_SUBSCRIPTIONS' });
  assert.equal(application.getChannel('c'), undefined, 'what was refused made no channel');
  application.serve('jobs', ann, 5, 1);
  assert.equal(application.subscribe('a', first, 1).added, false);
  assert.equal(application.subscribe('a', subscriber(bob), 1).added, true, 'others have room of their own');
  application.unsubscribe(first, 2);
  assert.equal(application.subscribe('c', subscriber(ann, '3'), 2).added, true);
});

test('a late subscriber is due the last value, by wildcard too, once for each subscription', () => {
  const { application } = testBroker();
  const ann = connection('ann');
  const eu = application.createChannel('orders.eu', { retain: true });
  publish(application, eu, 'one', 1);
  publish(application, eu, 'two', 2);
  publish(application, application.createChannel('orders.us'), 'not retained', 2);
  publish(application, application.channelFor('orders.asia', 2), 'retained by the publisher', 2, true);
  const entry = subscriber(ann, '1');
  assert.deepEqual(application.subscribe('orders.eu', entry, 3).retained, [{ channel: eu, message: 'two' }]);
  assert.deepEqual(application.subscribe('orders.eu', entry, 3).retained, [], 'nothing new, nothing due');
  assert.deepEqual(
    application.subscribe('orders.*', subscriber(ann, '2'), 3).retained.map(({ message }) => message),
    ['two', 'retained by the publisher'],
  );
  assert.equal(application.clearRetained('orders.eu'), true);
  assert.equal(application.clearRetained('orders.eu'), false);
  assert.deepEqual(application.subscribe('orders.eu', subscriber(ann, '3'), 4).retained, []);
});

test('presence follows direct subscriptions; wildcards are in no channel', () => {
  const { application } = testBroker();
  const ann = joined(application, 'ann');
  assert.equal(application.subscribe('chat.*', subscriber(ann, 'wide'), 1).presence, undefined);
  const first = application.subscribe('chat.a', subscriber(ann, '1'), 2);
  assert.deepEqual([first.presence?.kind, first.presence?.channelId], ['join', 'chat.a']);
  assert.equal(application.subscribe('chat.a', subscriber(ann, '2'), 3).presence, undefined);
  assert.equal(application.presence.members('chat.a').length, 1);
});

test('a departure tells everything: who left what, the will, and the requests left unanswered', () => {
  const { application } = testBroker();
  const [ann, bob] = [joined(application, 'ann'), joined(application, 'bob')];
  const own = [subscriber(ann, '1'), subscriber(ann, '2')] as const;
  application.subscribe('chat', own[0], 1);
  application.subscribe('*', own[1], 1);
  application.presence.setWill(ann, { channelId: 'chat', message: 'ann fell silent' });
  const jobs = application.serve('jobs', ann, 10, 1);
  const [first, second] = [{ id: 1 }, { id: 2 }];
  jobs.workers.assign(first);
  jobs.workers.assign(second);
  const departure = application.leave(ann, false, 5);
  assert.deepEqual(
    departure.presence.map(({ kind, channelId }) => [kind, channelId]),
    [
      ['leave', 'chat'],
      ['leave', undefined],
    ],
  );
  assert.deepEqual(departure.will, { channelId: 'chat', message: 'ann fell silent' });
  assert.deepEqual(departure.subscribers, own);
  assert.deepEqual(departure.unanswered, [first, second]);
  assert.deepEqual(application.presence.connections(), [bob]);
  assert.equal(application.connectionCount, 1);
  assert.deepEqual(application.leave(ann, false, 6), {
    presence: [],
    will: undefined,
    subscribers: [],
    unanswered: [],
  });
});

test('a new connection of the same id keeps its place when the old one goes', () => {
  const { application } = testBroker();
  const [old, renewed] = [joined(application, 'ann'), joined(application, 'ann')];
  const entry = subscriber(renewed);
  application.subscribe('chat', subscriber(old), 1);
  application.subscribe('chat', entry, 1);
  application.leave(old, false, 2);
  assert.deepEqual(application.createChannel('chat').receivers, [entry]);
  assert.equal(application.presence.members('chat').length, 1);
});

test('who stops serving gives back what it holds, and gets no more', () => {
  const { application } = testBroker();
  const ann = connection('ann');
  const jobs = application.serve('jobs', ann, 2, 1);
  const request = { id: 1 };
  jobs.workers.assign(request);
  assert.deepEqual(application.unserve('jobs', ann), [request]);
  assert.equal(application.unserve('jobs', ann), undefined);
  assert.equal(application.unserve('never', ann), undefined);
  assert.equal(jobs.workers.assign({ id: 2 }), undefined);
  assert.deepEqual(application.leave(ann, false, 2).unanswered, []);
});

test('a connection that went no longer counts what it served', () => {
  const { application } = testBroker({ application: { subscriptionsMax: 1 } });
  const ann = connection('ann');
  application.serve('jobs', ann, 1, 1);
  application.leave(ann, false, 2);
  application.serve('others', ann, 1, 3);
  application.unserve('others', ann);
  application.serve('jobs', ann, 1, 4);
});

test('a channel that is gone gives its number back', () => {
  const numbers = new ChannelNumbers();
  const application = new Application<TestTypes>({
    appId: 'shop',
    name: undefined,
    createdAt: 1,
    settings: applicationSettings(),
    numbers,
    retainedRoom: { bytes: 0, bytesMax: 100 },
    middleware: new MiddlewareStack(),
    outlet: new TestOutlet(),
  });
  application.createChannel('removed');
  application.channelFor('swept', 1);
  application.createChannel('kept');
  application.removeChannel('removed');
  application.sweep();
  assert.equal(numbers.size, 1);
  application.close();
  assert.equal(numbers.size, 0);
});

test('a channel that users remove ends its subscriptions, its presence and its workers, and the outlet is told', () => {
  const { application, outlet } = testBroker();
  const [ann, bob] = [joined(application, 'ann'), joined(application, 'bob')];
  const channel = application.createChannel('a', { retain: true });
  const [own, wide] = [subscriber(ann), subscriber(bob, 'wide')];
  application.subscribe('a', own, 1);
  application.subscribe('*', wide, 1);
  application.serve('a', bob, 1, 1);
  const request = { id: 1 };
  channel.workers.assign(request);
  publish(application, channel, 'value', 1);
  outlet.time = 9;
  assert.equal(application.removeChannel('a'), true);
  assert.equal(application.removeChannel('a'), false);
  const [told] = outlet.removed;
  assert.equal(outlet.removed.length, 1);
  assert.equal(told?.channel, channel);
  assert.deepEqual(told?.subscribers, [own]);
  assert.deepEqual(told?.unanswered, [request]);
  assert.deepEqual(
    told?.presence.map(({ kind, channelId, at }) => [kind, channelId, at]),
    [['leave', 'a', 9]],
  );
  assert.equal(application.getChannel('a'), undefined);
  assert.equal(application.retained.bytes, 0);
  assert.deepEqual(application.leave(bob, false, 10).unanswered, []);
  const again = application.createChannel('a');
  assert.deepEqual(again.receivers, []);
  assert.notEqual(again.number, channel.number);
});

test('activity is what clients last did here', () => {
  const { application, outlet } = testBroker();
  assert.equal(application.lastActivity, 1000);
  const ann = joined(application, 'ann', 1001);
  assert.equal(application.lastActivity, 1001);
  publish(application, application.channelFor('a', 1), 'm', 1002);
  assert.equal(application.lastActivity, 1002);
  application.leave(ann, true, 1003);
  assert.equal(application.lastActivity, 1003);
  outlet.time = 1004;
  application.updateActivity();
  assert.equal(application.lastActivity, 1004);
});
