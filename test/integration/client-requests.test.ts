// Requests and streams of the client against the real server: what users are promised.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { IPCError, Message } from '../../src/client/index.ts';
import { coded, scene } from '../support/client-scene.ts';

describe('requests', () => {
  test('call gives the payload, sendRequest the message that answers', async () => {
    await using stage = await scene();
    const client = await stage.client();
    assert.equal(await client.call('sum', [1, 2, 3]), 6);
    const response = await client.sendRequest('sum', [4]);
    assert.equal(response.payload, 4);
    assert.equal(response.messageType, 'response');
    assert.equal(response.channelId, 'sum');
    assert.equal(typeof response.replyTo, 'string');
  });

  test('bytes, typed arrays, text, nothing and a megabyte arrive as what they were', async () => {
    await using stage = await scene();
    stage.server
      .createApplication('shop')
      .createChannel('echo')
      .setHandler('request', (message) => message.payload);
    const client = await stage.client();
    assert.deepEqual(await client.call('echo', Buffer.from([1, 2, 3])), Buffer.from([1, 2, 3]));
    assert.deepEqual(await client.call('echo', new Float64Array([1.5, -2])), new Float64Array([1.5, -2]));
    assert.equal(await client.call('echo', 'grüße 🌍'), 'grüße 🌍');
    assert.equal(await client.call('echo', undefined), undefined);
    const large = Buffer.alloc(1024 * 1024, 7);
    assert.ok(large.equals((await client.call('echo', large)) as Buffer));
  });

  test('a failure at the server reaches the caller with its own code', async () => {
    await using stage = await scene();
    const client = await stage.client();
    await assert.rejects(
      client.call('fail', 1),
      (error) => coded('REMOTE_HANDLER_FAILED')(error) && /no luck/.test(String(error)),
    );
    await assert.rejects(client.call('nobody', 1), coded('REMOTE_NO_HANDLER'));
    await assert.rejects(client.call('bad\nname', 1), coded('USAGE_INVALID_NAME'));
    await assert.rejects(client.call('sum', 1n), coded('USAGE_UNSERIALIZABLE'));
    await assert.rejects(client.call('sum', Buffer.alloc(17 * 1024 * 1024)), coded('LIMIT_MESSAGE_BYTES'));
    assert.equal(await client.call('sum', [1]), 1);
  });

  test('a time-out and an AbortSignal end the call here and at the handler', async () => {
    await using stage = await scene();
    const stopped: string[] = [];
    let allStopped: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      allStopped = resolve;
    });
    let entered: () => void = () => {};
    stage.server
      .createApplication('shop')
      .createChannel('slow')
      .setHandler('request', (message) => {
        entered();
        return new Promise((resolve) => {
          message.signal.addEventListener('abort', () => {
            if (stopped.push((message.signal.reason as IPCError).code) === 3) allStopped();
            resolve(null);
          });
        });
      });
    const client = await stage.client();
    await assert.rejects(client.call('slow', 1, { timeout: 20 }), coded('TIME_OUT'));
    const controller = new AbortController();
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const call = client.call('slow', 2, { signal: controller.signal });
    await inside;
    controller.abort();
    await assert.rejects(call, coded('TIME_CANCELLED'));
    await assert.rejects(client.call('slow', 3, { signal: controller.signal }), coded('TIME_CANCELLED'));
    assert.equal(await client.sendRequest('slow', 4, { timeout: 20, nullOnTimeout: true }), null);
    await all;
    assert.deepEqual(stopped.sort(), ['REMOTE_CANCELLED', 'TIME_OUT', 'TIME_OUT']);
    assert.equal(client.getConnectionInfo().pending, 0);
  });

  test('a callback gets the response, or null and the error', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const [response, none] = await new Promise<[Message | null, IPCError | null]>((resolve) => {
      assert.equal(typeof client.sendRequestAsync('sum', [5], (...args) => resolve(args)), 'string');
    });
    assert.equal(response?.payload, 5);
    assert.equal(none, null);
    const [nothing, error] = await new Promise<[Message | null, IPCError | null]>((resolve) => {
      client.sendRequestAsync('fail', 1, (...args) => resolve(args));
    });
    assert.equal(nothing, null);
    assert.equal(error?.code, 'REMOTE_HANDLER_FAILED');
  });

  test('ten thousand calls at once are each answered with their own', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const answers = await Promise.all(Array.from({ length: 10_000 }, (_, i) => client.call('sum', [i, 1])));
    assert.deepEqual(
      answers,
      Array.from({ length: 10_000 }, (_, i) => i + 1),
    );
  });
});

describe('streams', () => {
  test('all items arrive in order, however many and however slowly they are taken', async () => {
    await using stage = await scene();
    const client = await stage.client({ limits: { streamWindowBytes: 1024 } });
    const seen: unknown[] = [];
    for await (const item of client.stream('count', 500)) {
      seen.push(item);
      if (seen.length % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 500 }, (_, i) => ({ i })),
    );
    assert.equal(client.getConnectionInfo().pending, 0);
  });

  test('leaving the loop cancels the handler', async () => {
    await using stage = await scene();
    let left: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      left = resolve;
    });
    stage.server
      .createApplication('shop')
      .createChannel('forever')
      .setHandler('request', async function* () {
        try {
          for (let i = 0; ; i += 1) yield i;
        } finally {
          left();
        }
      });
    const client = await stage.client({ limits: { streamWindowBytes: 1024 } });
    for await (const item of client.stream('forever', null)) if (item === 3) break;
    await ended;
    assert.equal(client.getConnectionInfo().pending, 0);
  });

  test('a handler that does not stream gives its one response; an error is thrown in the loop', async () => {
    await using stage = await scene();
    const client = await stage.client();
    const seen: unknown[] = [];
    for await (const item of client.stream('sum', [1, 2])) seen.push(item);
    assert.deepEqual(seen, [3]);
    await assert.rejects(client.stream('fail', 1).next(), coded('REMOTE_HANDLER_FAILED'));
    await assert.rejects(client.call('count', 3), coded('REMOTE_STREAMS'));
  });
});
