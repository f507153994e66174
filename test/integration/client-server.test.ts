// The client against the real server: what users are promised about requests, events, services and losses.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type ClientOptions, IPCClient, IPCError, type Message } from '../../src/client/index.ts';
import { IPCServer, type ServerOptions } from '../../src/server/index.ts';
import { socketPath } from '../support/socket-path.ts';

interface Scene extends AsyncDisposable {
  readonly server: IPCServer;
  readonly path: string;
  /** Connected; disconnected when the scene ends. */
  client(options?: ClientOptions): Promise<IPCClient>;
  /** A new server at the same address, after the first was stopped. */
  again(): Promise<IPCServer>;
}

function furnish(server: IPCServer): IPCServer {
  const shop = server.createApplication('shop');
  shop.createChannel('sum').setHandler('request', (message: Message) => {
    return (message.payload as number[]).reduce((a, b) => a + b, 0);
  });
  shop.createChannel('fail').setHandler('request', () => {
    throw new Error('no luck');
  });
  shop.createChannel('count').setHandler('request', async function* (message: Message) {
    for (let i = 0; i < (message.payload as number); i += 1) yield { i };
  });
  return server;
}

async function scene(options: ServerOptions = {}): Promise<Scene> {
  const { path, remove } = socketPath();
  const servers = [furnish(new IPCServer({ path, ...options }))];
  const clients: IPCClient[] = [];
  await servers[0]?.start();
  return {
    server: servers[0] as IPCServer,
    path,
    async client(clientOptions = {}) {
      const client = new IPCClient('shop', { path, ...clientOptions });
      clients.push(client);
      await client.connect();
      return client;
    },
    async again() {
      const server = furnish(new IPCServer({ path, ...options }));
      servers.push(server);
      await server.start();
      return server;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.disconnect()));
      await Promise.all(servers.map((server) => server.stop()));
      remove();
    },
  };
}

const coded = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

/** Resolves with the arguments of the next event. */
function once<A extends readonly unknown[]>(listen: (listener: (...args: A) => void) => () => void): Promise<A> {
  return new Promise((resolve) => {
    const stop = listen((...args) => {
      stop();
      resolve(args);
    });
  });
}

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

describe('coming and going', () => {
  test('connect calls share one connection, disconnect can be called twice, and connect begins anew', async () => {
    await using stage = await scene();
    const client = new IPCClient('shop', { path: stage.path });
    await Promise.all([client.connect(), client.connect()]);
    assert.equal(stage.server.getStats().totalConnections, 1);
    const first = client.connectionId;
    await Promise.all([client.disconnect(), client.disconnect()]);
    assert.equal(client.connected, false);
    assert.equal(client.connectionId, null);
    await assert.rejects(client.call('sum', [1]), coded('USAGE_CLOSED'));
    await client.connect();
    assert.notEqual(client.connectionId, first);
    await client.disconnect();
  });

  test('disconnect rejects what is not answered and ends subscriptions', async () => {
    await using stage = await scene();
    stage.server
      .createApplication('shop')
      .createChannel('never')
      .setHandler('request', () => new Promise(() => {}));
    const client = await stage.client();
    const subscription = await client.subscribe('news');
    const call = client.call('never', 1);
    const next = subscription.next();
    const rejected = assert.rejects(call, coded('USAGE_CLOSED'));
    await client.disconnect();
    await rejected;
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.equal(subscription.active, false);
  });

  test('a lost connection comes back by itself: subscriptions and services are restored, waiting requests answered', async () => {
    await using stage = await scene();
    const client = await stage.client({ reconnectDelay: 1, reconnectAttempts: 1_000_000 });
    const seen: unknown[] = [];
    let arrived: () => void = () => {};
    const event = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    await client.subscribe('news', (message) => {
      seen.push(message.payload);
      arrived();
    });
    await client.serve('triple', ({ payload }) => (payload as number) * 3);
    const before = client.connectionId;
    const lost = once<[error: IPCError, returning: boolean]>((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    assert.equal((await lost)[1], true);
    const waiting = client.call('sum', [20, 22], { timeout: 0 });
    const back = once<[details: { returned: boolean }]>((listener) => client.onConnected(listener));
    await stage.again();
    assert.equal((await back)[0].returned, true);
    assert.equal(await waiting, 42);
    assert.notEqual(client.connectionId, before);
    const other = await stage.client();
    assert.equal(await other.call('triple', 5), 15);
    assert.equal(await other.publishConfirmed('news', 'again'), 1);
    await event;
    assert.deepEqual(seen, ['again']);
  });

  test("with offline: 'fail' nothing waits", async () => {
    await using stage = await scene();
    const client = await stage.client({ offline: 'fail', reconnectDelay: 30_000 });
    const lost = once((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    await lost;
    await assert.rejects(client.call('sum', [1]), coded('USAGE_NOT_CONNECTED'));
    assert.throws(() => client.publish('news', 1), coded('USAGE_NOT_CONNECTED'));
  });

  test('after the last attempt it gives up and says so, to everybody who waits', async () => {
    await using stage = await scene();
    const client = await stage.client({ reconnectDelay: 1, reconnectAttempts: 2 });
    const attempts: number[] = [];
    client.on('reconnecting', ({ attempt }) => attempts.push(attempt));
    const failed = once<[error: IPCError]>((listener) => client.onError(listener));
    const subscription = await client.subscribe('news');
    const next = assert.rejects(subscription.next(), IPCError);
    const lost = once((listener) => client.onDisconnected(listener));
    await stage.server.stop();
    await lost;
    const waiting = assert.rejects(client.call('sum', [1]), IPCError);
    assert.equal((await failed)[0].code, 'NETWORK_CONNECT_FAILED');
    await Promise.all([waiting, next]);
    assert.deepEqual(attempts, [1, 2]);
    assert.equal(client.getConnectionInfo().state, 'idle');
  });

  test('an attempt to connect fails with what happened, in time, and can be cancelled', async () => {
    const { path, remove } = socketPath();
    const client = new IPCClient('shop', { path });
    await assert.rejects(client.connect(), coded('NETWORK_CONNECT_FAILED'));
    await assert.rejects(client.connect({ signal: AbortSignal.abort() }), coded('TIME_CANCELLED'));
    await assert.rejects(client.call('sum', [1]), coded('USAGE_NOT_CONNECTED'));
    await assert.rejects(
      new IPCClient('shop', { path: `/${'x'.repeat(200)}` }).connect(),
      (error) => error instanceof IPCError,
    );
    remove();
  });

  test('a refused client is told why and does not try again', async () => {
    await using stage = await scene({ authenticate: ({ token }) => token === 'right' && { user: 1 } });
    const wrong = new IPCClient('shop', { path: stage.path, token: 'wrong' });
    await assert.rejects(wrong.connect(), coded('REMOTE_UNAUTHENTICATED'));
    const right = await stage.client({ token: 'right' });
    assert.deepEqual(right.getConnectionInfo().identity, { user: 1 });
  });

  test('ping, health and notifications', async () => {
    await using stage = await scene();
    const client = await stage.client();
    assert.ok((await client.ping()) >= 0);
    assert.equal((await client.healthCheck()).healthy, true);
    const heard: unknown[] = [];
    stage.server
      .createApplication('shop')
      .createChannel('log')
      .setHandler('notification', (message) => {
        heard.push(message.payload);
      });
    client.notify('log', 'line');
    await client.ping();
    assert.deepEqual(heard, ['line']);
    await client.disconnect();
    assert.equal((await client.healthCheck()).healthy, false);
  });
});

describe('transports', () => {
  let server: IPCServer;
  const { path, remove } = socketPath();
  before(async () => {
    server = furnish(new IPCServer({ listen: [{ port: 0 }, { path }] }));
    await server.start();
  });
  after(async () => {
    await server.stop();
    remove();
  });

  test('the same over TCP, a Unix socket and WebSocket', async () => {
    const { port } = server;
    for (const options of [
      { port },
      { url: `tcp://localhost:${port}` },
      { path },
      { url: `ws://localhost:${port}` },
    ] satisfies ClientOptions[]) {
      await using client = new IPCClient('shop', options);
      await client.connect();
      assert.equal(await client.call('sum', [1, 2]), 3, JSON.stringify(options));
    }
  });
});
