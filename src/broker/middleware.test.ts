// Middleware: the order, who is refused with what, and no promise where nothing is asynchronous.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipcError } from '../base/errors.ts';
import { MiddlewareStack } from './middleware.ts';

function stacks() {
  const server = new MiddlewareStack<string, object>();
  const application = new MiddlewareStack(server);
  const channel = new MiddlewareStack(application);
  return { server, application, channel };
}

test('without middleware a message passes with no promise', () => {
  assert.equal(stacks().channel.run('m', {}), undefined);
});

test('the order is server, application, channel, whenever they were added', () => {
  const { server, application, channel } = stacks();
  const seen: string[] = [];
  const log = (name: string) => () => seen.push(name);
  channel.use(log('channel'));
  application.use(log('application'));
  assert.equal(channel.run('m', {}), undefined);
  server.use(log('server'));
  channel.use(log('channel 2'));
  seen.length = 0;
  assert.equal(channel.run('m', {}), undefined);
  assert.deepEqual(seen, ['server', 'application', 'channel', 'channel 2']);
});

test('synchronous middleware gives its verdict synchronously', () => {
  const { server, channel } = stacks();
  server.use((message) => message !== 'bad');
  assert.equal(channel.run('good', {}), undefined);
  const verdict = channel.run('bad', {});
  assert.ok(verdict instanceof Error && 'code' in verdict);
  assert.equal(verdict.code, 'REMOTE_REFUSED');
});

test('every falsy result refuses, and what comes after is not asked', () => {
  for (const falsy of [false, undefined, null, 0, '', Number.NaN]) {
    const { server, channel } = stacks();
    server.use(() => falsy);
    channel.use(() => assert.fail('asked after a refusal'));
    assert.ok(channel.run('m', {}) instanceof Error, String(falsy));
  }
});

test('what middleware throws is the verdict', () => {
  const { channel } = stacks();
  const error = ipcError('REMOTE_FORBIDDEN', 'not you');
  channel.use(() => {
    throw error;
  });
  assert.equal(channel.run('m', {}), error);
});

test('a promise is awaited before the next one is asked', async () => {
  const { server, application, channel } = stacks();
  const seen: string[] = [];
  server.use(async () => {
    await Promise.resolve();
    seen.push('server');
    return true;
  });
  application.use(() => seen.push('application'));
  channel.use(async () => seen.push('channel'));
  const verdict = channel.run('m', {});
  assert.ok(verdict instanceof Promise);
  assert.deepEqual(seen, []);
  assert.equal(await verdict, undefined);
  assert.deepEqual(seen, ['server', 'application', 'channel']);
});

test('asynchronous refusals and failures are verdicts, not rejections', async () => {
  const refusing = stacks().channel;
  refusing.use(async () => false);
  const verdict = await refusing.run('m', {});
  assert.ok(verdict instanceof Error && 'code' in verdict);
  assert.equal(verdict.code, 'REMOTE_REFUSED');

  const failing = stacks().channel;
  const error = new Error('database gone');
  failing.use(() => true);
  failing.use(() => Promise.reject(error));
  failing.use(() => assert.fail('asked after a failure'));
  assert.equal(await failing.run('m', {}), error);

  const late = stacks().channel;
  late.use(async () => true);
  late.use(() => {
    throw error;
  });
  assert.equal(await late.run('m', {}), error);
});

test('a chain that is running is not changed by one more', async () => {
  const { channel } = stacks();
  channel.use(async () => true);
  const verdict = channel.run('m', {});
  channel.use(() => false);
  assert.equal(await verdict, undefined);
  assert.ok((await channel.run('m', {})) instanceof Error);
});

test('middleware gets the message and its context', () => {
  const { channel } = stacks();
  const context = { identity: 'ann' };
  channel.use((message, given) => message === 'm' && given === context);
  assert.equal(channel.run('m', context), undefined);
});
