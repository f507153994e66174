// The contract at run time: what does not fit is stopped on the side that made it, or told on the side
// that received it.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { defineContract, IPCClient, IPCError } from '../../src/client/index.ts';
import { IPCServer } from '../../src/server/index.ts';
import { date, later, number, numbers, text } from '../support/schemas.ts';
import { socketPath } from '../support/socket-path.ts';

const shop = defineContract({
  requests: {
    sum: { request: numbers, response: number },
    when: { request: text, response: date },
    slow: { request: later },
  },
  events: { tick: date },
});

const coded = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

async function scene(t: TestContext) {
  const place = socketPath();
  const server = new IPCServer({ path: place.path });
  await server.start();
  const checked = new IPCClient('shop', { path: place.path, contract: shop });
  const loose = new IPCClient('shop', { path: place.path });
  await Promise.all([checked.connect(), loose.connect()]);
  t.after(async () => {
    await Promise.all([checked.disconnect(), loose.disconnect()]);
    await server.stop();
    place.remove();
  });
  return { checked, loose };
}

test('a request that does not fit never leaves, and names channel and part', async (t) => {
  const { checked, loose } = await scene(t);
  let asked = 0;
  await loose.serve('sum', () => {
    asked += 1;
    return 0;
  });
  const wrong = ['1'] as unknown as number[];
  await assert.rejects(checked.call('sum', wrong), (error) => {
    assert.ok(error instanceof IPCError);
    assert.equal(error.code, 'USAGE_INVALID_PAYLOAD');
    assert.deepEqual(error.details, {
      channel: 'sum',
      part: 'request',
      issues: [{ message: 'expected numbers', path: '' }],
    });
    return true;
  });
  assert.equal(await checked.call('sum', [1]), 0);
  assert.equal(asked, 1);
});

test('a response arrives as its schema reads it, or the call fails', async (t) => {
  const { checked, loose } = await scene(t);
  await loose.serve('when', ({ payload }) => payload);
  assert.deepEqual(await checked.call('when', '2026-01-02'), new Date('2026-01-02'));
  assert.deepEqual((await checked.sendRequest('when', '2026-01-02')).payload, new Date('2026-01-02'));
  await assert.rejects(checked.call('when', 'never'), coded('PEER_MALFORMED_PAYLOAD'));
  await assert.rejects(checked.sendRequest('when', 'never'), coded('PEER_MALFORMED_PAYLOAD'));
  await assert.rejects(checked.stream('when', 'never').next(), coded('PEER_MALFORMED_PAYLOAD'));
  const failed = await new Promise((resolve) => {
    checked.sendRequestAsync('when', 'never', (response, error) => resolve([response, error?.code]));
  });
  assert.deepEqual(failed, [null, 'PEER_MALFORMED_PAYLOAD']);
});

test('a handler sees only requests that fit; its own wrong answer is its failure', async (t) => {
  const { checked, loose } = await scene(t);
  await checked.serve('sum', ({ payload }) => (payload.length === 0 ? ('none' as unknown as number) : payload.length));
  assert.equal(await loose.call('sum', [1, 2]), 2);
  await assert.rejects(loose.call('sum', 'text'), coded('USAGE_INVALID_PAYLOAD'));
  await assert.rejects(loose.call('sum', []), coded('REMOTE_HANDLER_FAILED'));
});

test('an event that does not fit is neither published nor delivered', async (t) => {
  const { checked, loose } = await scene(t);
  const reported = new Promise<string>((resolve) => {
    checked.onError((error) => resolve(error.code));
  });
  const subscription = await checked.subscribe('tick');
  assert.throws(() => checked.publish('tick', 'never'), coded('USAGE_INVALID_PAYLOAD'));
  await loose.publishConfirmed('tick', 'never');
  checked.publish('tick', '2026-01-02');
  assert.deepEqual((await subscription.next()).value?.payload, new Date('2026-01-02'));
  assert.equal(await reported, 'PEER_MALFORMED_PAYLOAD');
});

test('a schema that does not answer at once, and what is no schema, is a wrong option', async (t) => {
  const { checked } = await scene(t);
  await assert.rejects(checked.call('slow', 1), coded('USAGE_INVALID_OPTION'));
  assert.throws(() => defineContract({ events: { tick: {} as never } }), coded('USAGE_INVALID_OPTION'));
  assert.throws(() => defineContract({ event: {} } as never), coded('USAGE_INVALID_OPTION'));
  assert.throws(() => new IPCClient('shop', { contract: {} as never }), coded('USAGE_INVALID_OPTION'));
});
