// The way of one publish and of one request, from channel to receivers or to who answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connection, subscriber, testBroker, type TestTypes } from '../../test/support/broker-fixture.ts';
import { publish, type RequestRoute, resolveRequest, screen } from './router.ts';

test('a publish reaches every subscription, that of the publisher too', () => {
  const { application } = testBroker();
  const [ann, bob] = [connection('ann'), connection('bob')];
  const entries = [subscriber(ann, '1'), subscriber(ann, '2'), subscriber(bob)];
  for (const entry of entries) application.subscribe('chat', entry, 1);
  const wide = subscriber(bob, 'wide');
  application.subscribe('*', wide, 1);
  const channel = application.channelFor('chat', 1);
  const delivery = publish(application, channel, 'hello', 2);
  assert.equal(delivery.publication, 'hello');
  assert.equal(delivery.channel, channel);
  assert.deepEqual(delivery.receivers, [...entries, wide]);
  assert.equal(delivery.handler, undefined);
});

test('two publishes without a change between have the very same receivers', () => {
  const { application } = testBroker();
  application.subscribe('chat', subscriber(connection('ann')), 1);
  const channel = application.channelFor('chat', 1);
  const { receivers } = publish(application, channel, 'a', 2);
  assert.equal(publish(application, channel, 'b', 3).receivers, receivers);
});

test('the delivery carries the publish handler of the channel', () => {
  const { application } = testBroker();
  const handler = () => undefined;
  const channel = application.createChannel('a').setHandler('publish', handler);
  assert.equal(publish(application, channel, 'm', 1).handler, handler);
});

test('a publish to a channel object that was given up reaches who is there now', () => {
  const { application } = testBroker();
  const stale = application.channelFor('a', 1);
  application.sweep();
  assert.equal(stale.removed, true);
  const entry = subscriber(connection('ann'));
  application.subscribe('a', entry, 2);
  const delivery = publish(application, stale, 'm', 3);
  assert.deepEqual(delivery.receivers, [entry]);
  assert.equal(delivery.channel, application.getChannel('a'));
});

test('a retaining channel keeps what is published; a publisher can ask for it anywhere', () => {
  const { application } = testBroker();
  const keeping = application.createChannel('keeping', { retain: true });
  const plain = application.createChannel('plain');
  publish(application, keeping, 'a', 1);
  publish(application, plain, 'b', 1);
  assert.equal(application.retained.get(keeping), 'a');
  assert.equal(application.retained.get(plain), undefined);
  publish(application, plain, 'c', 1, true);
  assert.equal(application.retained.get(plain), 'c');
});

test('screening runs the middleware of the channel', () => {
  const { application } = testBroker();
  const channel = application.createChannel('a').use((message, { identity }) => identity === 'ann' && message !== '');
  assert.equal(screen(channel, 'm', { identity: 'ann' }), undefined);
  assert.ok(screen(channel, 'm', {}) instanceof Error);
});

test('a request goes to the handler, before any worker', () => {
  const { application } = testBroker();
  const handler = () => 1;
  application.serve('sum', connection('ann'), 1, 1);
  const channel = application.createChannel('sum').setHandler('request', handler);
  assert.deepEqual(resolveRequest(application, 'sum', { id: 1 }), { kind: 'handler', channel, handler });
  assert.equal(channel.workers.inFlight, 0);
});

test('without a handler a request goes to a worker, which has it until it is settled', () => {
  const { application } = testBroker();
  const ann = connection('ann');
  const channel = application.serve('sum', ann, 1, 1);
  const request = { id: 1 };
  assert.deepEqual(resolveRequest(application, 'sum', request), { kind: 'worker', channel, connection: ann });
  const full = resolveRequest(application, 'sum', { id: 2 });
  assert.equal(full.kind === 'error' && full.code, 'LIMIT_WORKERS');
  channel.workers.settle(request);
  assert.equal(resolveRequest(application, 'sum', { id: 3 }).kind, 'worker');
});

test('a request that nobody answers says why', () => {
  const code = (route: RequestRoute<TestTypes>) => (route.kind === 'error' ? route.code : route.kind);
  assert.equal(code(resolveRequest(undefined, 'a', { id: 1 })), 'REMOTE_NO_APPLICATION');
  const open = testBroker().application;
  assert.equal(code(resolveRequest(open, 'a', { id: 1 })), 'REMOTE_NO_HANDLER');
  assert.equal(open.channelCount, 0, 'asking makes no channel');
  open.createChannel('a').setHandler('publish', () => 1);
  assert.equal(code(resolveRequest(open, 'a', { id: 1 })), 'REMOTE_NO_HANDLER');
  const closed = testBroker({ application: { autoCreateChannels: false } }).application;
  assert.equal(code(resolveRequest(closed, 'a', { id: 1 })), 'REMOTE_NO_CHANNEL');
  closed.createChannel('a');
  assert.equal(code(resolveRequest(closed, 'a', { id: 1 })), 'REMOTE_NO_HANDLER');
});
