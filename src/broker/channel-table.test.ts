// The channels of an application are bounded: which are given up, when, and which never.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connection, subscriber, testBroker } from '../../test/support/broker-fixture.ts';
import { publish } from './router.ts';

const names = (application: { listChannels(): object }) => Object.keys(application.listChannels());

test('channels that only publishers touched are bounded; those lately published to stay longest', () => {
  const { application } = testBroker({ application: { idleChannelsMax: 3 } });
  for (const name of ['a', 'b', 'c']) application.channelFor(name, 1);
  publish(application, application.channelFor('a', 1), 'm', 1);
  application.channelFor('d', 1);
  assert.deepEqual(names(application), ['a', 'c', 'd']);
  for (let count = 0; count < 10_000; count += 1) {
    publish(application, application.channelFor(`new-${count}`, 1), 'm', 1);
  }
  assert.equal(application.channelCount, 3);
});

test('a channel that was just made is never the one that goes', () => {
  const { application } = testBroker({ application: { idleChannelsMax: 1 } });
  const first = application.channelFor('first', 1);
  publish(application, first, 'm', 1);
  const second = application.channelFor('second', 1);
  assert.equal(second.removed, false);
  assert.equal(first.removed, true);
});

test('a channel somebody wants is not given up, whatever the reason', () => {
  const { application } = testBroker({ application: { idleChannelsMax: 1 } });
  const ann = connection('ann');
  application.subscribe('subscribed', subscriber(ann), 1);
  application.serve('served', ann, 1, 1);
  application.createChannel('made');
  application.channelFor('handled', 1).setHandler('request', () => 1);
  application.channelFor('guarded', 1).use(() => true);
  application.retain(application.channelFor('retaining', 1), 'value');
  for (let count = 0; count < 100; count += 1) application.channelFor(`idle-${count}`, 1);
  application.sweep();
  application.sweep();
  assert.deepEqual(names(application).sort(), ['guarded', 'handled', 'made', 'retaining', 'served', 'subscribed']);
});

test('a channel becomes idle when the last one who wanted it goes', () => {
  const { application } = testBroker();
  const [ann, bob] = [connection('ann'), connection('bob')];
  const [annsEntry, bobsEntry] = [subscriber(ann), subscriber(bob)];
  application.subscribe('a', annsEntry, 1);
  application.subscribe('a', bobsEntry, 1);
  application.serve('a', bob, 1, 1);
  application.retain(application.channelFor('a', 1), 'value');
  application.unsubscribe(annsEntry, 2);
  assert.equal(application.sweep(), 0);
  application.leave(bob, false, 3);
  assert.equal(application.sweep(), 0);
  application.clearRetained('a');
  assert.equal(application.sweep(), 1);
  assert.deepEqual(names(application), []);
});

test('a sweep spares the channels that were published to since the last one', () => {
  const { application } = testBroker();
  for (const name of ['quiet', 'busy']) application.channelFor(name, 1);
  publish(application, application.channelFor('busy', 1), 'm', 1);
  assert.equal(application.sweep(), 1);
  assert.deepEqual(names(application), ['busy']);
  assert.equal(application.sweep(), 1);
});

test('at the limit an idle channel makes room; without one, LIMIT_CHANNELS', () => {
  const { application } = testBroker({ application: { channelsMax: 2 } });
  application.channelFor('idle', 1);
  application.createChannel('a');
  application.createChannel('b');
  assert.deepEqual(names(application), ['a', 'b']);
  assert.throws(() => application.createChannel('c'), {
    code: 'LIMIT_CHANNELS',
    details: { appId: 'shop', channelId: 'c', channelsMax: 2 },
  });
  assert.throws(() => application.channelFor('c', 1), { code: 'LIMIT_CHANNELS' });
  assert.throws(() => application.subscribe('c', subscriber(connection('ann')), 1), { code: 'LIMIT_CHANNELS' });
  assert.equal(application.createChannel('a').channelId, 'a', 'one that is there is given at the limit too');
});

test('channels that are wanted again cost no idle one its place', () => {
  const { application } = testBroker({ application: { idleChannelsMax: 3 } });
  for (const name of ['a', 'b', 'c']) application.channelFor(name, 1);
  application.subscribe('a', subscriber(connection('ann')), 1);
  application.channelFor('d', 1);
  assert.deepEqual(names(application), ['a', 'b', 'c', 'd']);
});

test('a channel becomes idle when its last worker goes, and when its value had to make room', () => {
  const { application } = testBroker({ application: { retainedBytesMax: 4 } });
  const ann = connection('ann');
  application.serve('jobs', ann, 1, 1);
  application.retain(application.channelFor('old', 1), '1234');
  assert.equal(application.sweep(), 0);
  application.leave(ann, false, 2);
  application.retain(application.channelFor('new', 3), '1234');
  assert.equal(application.sweep(), 2);
  assert.deepEqual(names(application), ['new']);
  const bob = connection('bob');
  application.serve('jobs', bob, 1, 4);
  assert.equal(application.sweep(), 0);
  application.unserve('jobs', bob);
  assert.equal(application.sweep(), 1);
});

test('an idle channel that is removed frees its place among the idle', () => {
  const { application } = testBroker({ application: { idleChannelsMax: 2 } });
  for (const name of ['a', 'b']) application.channelFor(name, 1);
  application.removeChannel('b');
  application.channelFor('c', 1);
  assert.deepEqual(names(application), ['a', 'c']);
});
