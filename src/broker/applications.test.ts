// The table of applications: made once, listed, bounded, and given up when nobody wants them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joined, subscriber, TestOutlet, testBroker, type TestTypes } from '../../test/support/broker-fixture.ts';
import { Applications } from './applications.ts';

test('an application is made once, and its name is its id unless it is given another', () => {
  const { applications } = testBroker();
  const plain = applications.createApplication('plain');
  assert.equal(plain.name, 'plain');
  const named = applications.createApplication('a', 'The A');
  assert.equal(named.name, 'The A');
  assert.equal(applications.createApplication('a'), named);
  assert.equal(named.name, 'The A', 'no name given, none taken away');
  applications.createApplication('a', 'New name');
  assert.equal(named.name, 'New name');
  assert.equal(applications.getApplication('a'), named);
  assert.equal(applications.getApplication('b'), undefined);
});

test('the list shows each application with its counts and times', () => {
  const { applications, application, outlet } = testBroker();
  joined(application, 'ann', 1500);
  application.createChannel('a');
  outlet.time = 2000;
  applications.createApplication('constructor', 'Odd id');
  assert.deepEqual(applications.listApplications(), {
    shop: { name: 'shop', channels: 1, connections: 1, createdAt: 1000, lastActivity: 1500 },
    constructor: { name: 'Odd id', channels: 0, connections: 0, createdAt: 2000, lastActivity: 2000 },
  });
});

test('a client makes an application by naming it, unless autoCreate is off', () => {
  const { applications } = testBroker();
  const made = applications.applicationFor('new', 5);
  assert.equal(made.createdAt, 5);
  assert.equal(applications.applicationFor('new', 6), made);
  assert.throws(() => applications.applicationFor('', 5), { code: 'USAGE_INVALID_NAME' });

  const closed = testBroker({ autoCreate: false });
  assert.throws(() => closed.applications.applicationFor('new', 5), { code: 'REMOTE_NO_APPLICATION' });
  assert.equal(closed.applications.applicationFor('shop', 5), closed.application);
});

test('a wrong name makes no application', () => {
  const { applications } = testBroker();
  assert.throws(() => applications.createApplication('a\n'), { code: 'USAGE_INVALID_NAME' });
  assert.throws(() => applications.createApplication('a', ''), { code: 'USAGE_INVALID_OPTION' });
  assert.equal(applications.size, 1);
});

test('at the limit an application that nobody wants makes room; without one, LIMIT_APPLICATIONS', () => {
  const { applications, application } = testBroker({ applicationsMax: 3 });
  const visited = applications.applicationFor('visited', 1);
  joined(visited, 'ann');
  const left = applications.applicationFor('left', 1);
  left.leave(joined(left, 'bob'), true, 2);
  applications.applicationFor('new', 3).createChannel('kept');
  assert.deepEqual(Object.keys(applications.listApplications()), ['shop', 'visited', 'new']);
  assert.equal(left.removed, true);
  assert.throws(() => applications.applicationFor('more', 4), { code: 'LIMIT_APPLICATIONS' });
  assert.throws(() => applications.createApplication('more'), { code: 'LIMIT_APPLICATIONS' });
  assert.equal(applications.createApplication('shop'), application);
});

test('a sweep gives up applications that are empty and were made by clients, and only those', () => {
  const { applications } = testBroker();
  const left = applications.applicationFor('left', 1);
  const ann = joined(left, 'ann');
  left.subscribe('chat', subscriber(ann), 1);
  applications.sweep();
  assert.equal(applications.getApplication('left'), left);
  left.leave(ann, true, 2);
  applications.sweep();
  assert.deepEqual(Object.keys(applications.listApplications()), ['shop']);
  assert.throws(() => left.createChannel('a'), { code: 'USAGE_CLOSED' });
  assert.throws(() => left.channelFor('a', 3), { code: 'USAGE_CLOSED' });
  assert.throws(() => joined(left, 'bob'), { code: 'USAGE_CLOSED' });
  assert.notEqual(applications.applicationFor('left', 3), left);
});

test('messages pass the middleware of the server, then of the application, then of the channel', () => {
  const { applications, application } = testBroker();
  const seen: string[] = [];
  application.createChannel('a').use(() => seen.push('channel'));
  application.use(() => seen.push('application'));
  applications.middleware.use(() => seen.push('server'));
  assert.equal(application.createChannel('a').middleware.run('m', {}), undefined);
  assert.deepEqual(seen, ['server', 'application', 'channel']);
});

test('retained values of all applications have one room, and it is free again when an application goes', () => {
  const { applications } = testBroker({ retainedBytesTotalMax: 10, applicationsMax: 3 });
  const [first, second] = [applications.applicationFor('1', 1), applications.applicationFor('2', 1)];
  first.retain(first.channelFor('a', 1), '12345678');
  second.retain(second.channelFor('a', 1), '1234');
  assert.equal(second.retained.size, 0);
  first.removeChannel('a');
  second.retain(second.channelFor('a', 1), '1234567890');
  assert.equal(second.retained.bytes, 10);
});

test('a wrong option is refused at once', () => {
  for (const options of [{ applicationsMax: 0 }, { autoCreate: 'no' }, { retainedBytesTotalMax: -1 }]) {
    assert.throws(() => new Applications<TestTypes>(new TestOutlet(), options as object), {
      code: 'USAGE_INVALID_OPTION',
    });
  }
});
