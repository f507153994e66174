// Events and services of the client against the real server: what users are promised.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { IPCError } from '../../src/client/index.ts';
import { coded, once, scene } from '../support/client-scene.ts';

describe('events', () => {
  test('several subscriptions to one channel each get everything, in order, until they end', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const first: unknown[] = [];
    const second: unknown[] = [];
    const one = await client.subscribe('news', (message) => first.push(message.payload));
    await client.subscribe('news', (message) => second.push(message.payload));
    assert.equal(await client.publishConfirmed('news', 1), 2);
    await one.unsubscribe();
    await one.unsubscribe();
    assert.equal(await client.publishConfirmed('news', 2), 1);
    await client.unsubscribe('news');
    assert.equal(await client.publishConfirmed('news', 3), 0);
    assert.deepEqual([first, second], [[1], [1, 2]]);
  });

  test('a pattern matches by tokens and the message says its channel', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const star = await client.subscribe('orders.*');
    const rest = await client.subscribe('orders.>');
    client.publish('orders.eu', 1);
    client.publish('orders.eu.paris', 2);
    assert.equal((await star.next()).value?.channelId, 'orders.eu');
    assert.equal((await rest.next()).value?.channelId, 'orders.eu');
    assert.equal((await rest.next()).value?.channelId, 'orders.eu.paris');
    await assert.rejects(client.subscribe('a.>.b'), coded('USAGE_INVALID_NAME'));
  });

  test('a slow subscriber slows the publisher down and loses nothing', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const publisher = await stage.client();
    const subscription = await client.subscribe('flood', { creditBytes: 1024, outboxBytesMax: 8192, policy: 'block' });
    const total = 3000;
    const filler = 'x'.repeat(400);
    const publishing = (async () => {
      for (let i = 0; i < total; i += 1) {
        await publisher.publishReady('flood');
        publisher.publish('flood', { i, filler });
      }
    })();
    for (let i = 0; i < total; i += 1) {
      const { value } = await subscription.next();
      assert.deepEqual(value?.payload, { i, filler });
    }
    await publishing;
    assert.equal(subscription.lost, 0);
  });

  test('without credit, publish keeps a bounded amount and then throws, tryPublish says no', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const publisher = await stage.client({ publishQueueBytesMax: 64 * 1024 });
    const subscription = await client.subscribe('flood', { creditBytes: 1024, outboxBytesMax: 1024 });
    const chunk = Buffer.alloc(16 * 1024);
    assert.throws(() => {
      for (;;) publisher.publish('flood', chunk);
    }, coded('LIMIT_OUTBOX'));
    assert.equal(publisher.tryPublish('flood', chunk), false);
    await subscription.unsubscribe();
    await publisher.publishReady('flood');
    assert.equal(publisher.tryPublish('flood', chunk), true);
  });

  test('a dropped message is counted and told', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const subscription = await client.subscribe('flood', {
      creditBytes: 1024,
      outboxBytesMax: 2048,
      policy: 'drop-oldest',
    });
    const told = once<[count: number, cause: string]>((listener) => subscription.onLost(listener));
    const publisher = await stage.client();
    for (let i = 0; i < 100; i += 1) publisher.publish('flood', Buffer.alloc(512));
    await publisher.publishConfirmed('flood', Buffer.alloc(512));
    let taken = 0;
    const take = (async () => {
      for await (const _ of subscription) taken += 1;
    })();
    await told;
    await publisher.publishConfirmed('flood', Buffer.alloc(512));
    await client.ping();
    await client.disconnect();
    await take;
    assert.ok(subscription.lost > 0);
    assert.equal(taken, subscription.received);
  });

  test('a kept last value reaches a late subscriber, marked as such', async () => {
    await using stage = await scene();
    const client = await stage.client();
    await client.publishConfirmed('price', 42, { retain: true });
    const subscription = await client.subscribe('price');
    const { value } = await subscription.next();
    assert.equal(value?.payload, 42);
    assert.equal(value?.retained, true);
  });

  test('what a handler throws goes to the error event, and the next message still arrives', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const failed = once<[error: IPCError]>((listener) => client.onError(listener));
    const seen: unknown[] = [];
    await client.subscribe('news', async (message) => {
      seen.push(message.payload);
      await Promise.resolve();
      if (message.payload === 1) throw new Error('handler');
    });
    client.publish('news', 1);
    assert.equal((await failed)[0].code, 'USAGE_HANDLER_FAILED');
    await client.publishConfirmed('news', 2);
    assert.deepEqual(seen, [1, 2]);
  });

  test('waitForMessage gives the next message, or a time-out, and leaves nothing behind', async () => {
    await using stage = await scene();
    const client = await stage.client();
    await assert.rejects(client.waitForMessage('news', 10), coded('TIME_OUT'));
    const waiting = client.waitForMessage('news');
    while ((await client.publishConfirmed('news', 'now')) === 0);
    assert.equal((await waiting).payload, 'now');
    assert.equal(client.getConnectionInfo().subscriptions, 0);
  });
});

describe('serving', () => {
  test('a work group answers, each request once, and the last to leave leaves nobody', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const workers = await Promise.all([stage.client(), stage.client()]);
    const done = [0, 0];
    const services = await Promise.all(
      workers.map((worker, i) =>
        worker.serve('double', async ({ payload }) => {
          done[i] = (done[i] ?? 0) + 1;
          await Promise.resolve();
          return (payload as number) * 2;
        }),
      ),
    );
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => client.call('double', i)));
    assert.deepEqual(
      answers,
      Array.from({ length: 100 }, (_, i) => i * 2),
    );
    assert.equal((done[0] ?? 0) + (done[1] ?? 0), 100);
    assert.ok(
      done.every((count) => count > 0),
      `one worker did everything: ${done.join(' and ')}`,
    );
    await Promise.all(services.map((service) => service.unserve()));
    await assert.rejects(client.call('double', 1), coded('REMOTE_NO_HANDLER'));
  });

  test('a client that serves streams with backpressure, fails with its error, and hears of a cancel', async () => {
    await using stage = await scene();
    const client = await stage.client({ limits: { streamWindowBytes: 1024 } });
    const worker = await stage.client();
    await worker.serve('letters', async function* ({ payload }) {
      for (const letter of payload as string) yield letter;
    });
    await worker.serve('broken', () => {
      throw new Error('worn out');
    });
    const cancelled = new Promise<unknown>((resolve) => {
      void worker.serve('hang', (_, { signal }) => {
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            resolve(signal.reason);
            reject(new Error('stopped'));
          });
        });
      });
    });
    const seen: unknown[] = [];
    for await (const letter of client.stream('letters', 'abc'.repeat(200))) seen.push(letter);
    assert.equal(seen.join(''), 'abc'.repeat(200));
    await assert.rejects(client.call('broken', 1), coded('REMOTE_HANDLER_FAILED'));
    await worker.ping();
    await assert.rejects(client.call('hang', 1, { timeout: 30 }), coded('TIME_OUT'));
    assert.ok(coded('TIME_OUT')(await cancelled) || coded('REMOTE_CANCELLED')(await cancelled));
  });
});
