// Handlers, middleware and listeners of the application that throw what is no error, end connections from
// inside, or stop the server they run in: every caller is answered, and nothing is left behind.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ipcError } from '../../src/base/errors.ts';
import { IPCClient } from '../../src/client/index.ts';
import { bodyOf, OldWire } from '../interop/old-wire.ts';
import { atWork, Collected, deferred } from '../support/broker-at-work.ts';

/** What awaits it gets what `then` makes of it. */
const THEN: string = ['th', 'en'].join('');
const thenable = (then: unknown): unknown => ({ [THEN]: then });

const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const THROWN: Readonly<Record<string, () => unknown>> = {
  nothing: () => undefined,
  null: () => null,
  'a text': () => 'text',
  'a symbol': () => Symbol('s'),
  'an object without a prototype': () => Object.create(null) as unknown,
  'a revoked proxy': revoked,
  'an error whose message is a symbol': () => Object.assign(new Error('x'), { message: Symbol('s') }),
  'an error with a cycle in its details': () => {
    const details: Record<string, unknown> = { big: 1n };
    details['self'] = details;
    return ipcError('REMOTE_REFUSED', 'no', { details });
  },
};

for (const [title, make] of Object.entries(THROWN)) {
  test(`a handler, a promise, a stream and middleware that throw ${title} fail the call and nothing else`, async (t) => {
    const { app, client, server } = await atWork(t);
    app.createChannel('throws').setHandler('request', () => {
      throw make();
    });
    app.createChannel('rejects').setHandler('request', async () => {
      await Promise.resolve();
      throw make();
    });
    app.createChannel('streams').setHandler('request', async function* () {
      yield await Promise.resolve(1);
      throw make();
    });
    app.createChannel('screens').use(() => {
      throw make();
    });
    const caller = await client();
    for (const channel of ['throws', 'rejects', 'screens']) {
      await assert.rejects(caller.call(channel, 1), { code: /REMOTE_(HANDLER_FAILED|REFUSED)/ }, channel);
    }
    await assert.rejects(
      async () => {
        for await (const _ of caller.stream('streams', 1));
      },
      { code: /REMOTE_(HANDLER_FAILED|REFUSED)/ },
    );
    assert.equal(server.getStats().requestsOpen, 0);
    assert.equal(caller.connected, true);
  });
}

const THENABLES: readonly (readonly [title: string, value: () => unknown, answer: unknown])[] = [
  ['resolves twice', () => thenable((resolve: (v: number) => void) => [resolve(1), resolve(2)]), 1],
  ['resolves and then throws', () => thenable(throwingAfter), 1],
  ['rejects after resolving', () => thenable((ok: (v: number) => void, no: (e: unknown) => void) => [ok(1), no(2)]), 1],
  ['throws at once', () => thenable(() => never()), 'error'],
  ['has a getter that throws', () => new Proxy({}, { get: () => never() }), 'error'],
];

function never(): never {
  throw new Error('no');
}

function throwingAfter(resolve: (value: number) => void): void {
  resolve(1);
  never();
}

for (const [title, value, answer] of THENABLES) {
  test(`a handler that returns a thenable that ${title} is answered once`, async (t) => {
    const { app, client, server } = await atWork(t);
    app.createChannel('odd').setHandler('request', () => value());
    const call = (await client()).call('odd', 1);
    if (answer === 'error') await assert.rejects(call, { code: 'REMOTE_HANDLER_FAILED' });
    else assert.equal(await call, answer);
    assert.equal(server.getStats().requestsOpen, 0);
  });
}

test('a stream that yields what cannot be sent fails, and the generator runs its finally', async (t) => {
  const { app, client } = await atWork(t);
  const finished = deferred();
  app.createChannel('bad').setHandler('request', async function* () {
    try {
      yield await Promise.resolve(() => undefined);
    } finally {
      finished.resolve();
    }
  });
  const caller = await client();
  await assert.rejects(
    async () => {
      for await (const _ of caller.stream('bad', 1));
    },
    { code: 'USAGE_UNSERIALIZABLE' },
  );
  await finished.promise;
});

test('what a handler throws after its caller has left concerns nobody', async (t) => {
  const { app, client, server } = await atWork(t);
  const aborted = deferred();
  server.on('fault', (error) => assert.fail(error));
  app.createChannel('late').setHandler(
    'request',
    (message) =>
      new Promise((_, reject) => {
        message.signal.addEventListener('abort', () => {
          reject(new Error('aborted'));
          aborted.resolve();
        });
      }),
  );
  const caller = await client();
  const cancel = new AbortController();
  const call = assert.rejects(caller.call('late', 1, { signal: cancel.signal }), { code: 'TIME_CANCELLED' });
  await caller.ping();
  cancel.abort();
  await call;
  await aborted.promise;
  assert.equal(server.getStats().requestsOpen, 0);
});

for (const place of ['handler', 'middleware'] as const) {
  test(`a connection that the ${place} closes is gone, its request with it`, async (t) => {
    const { app, client, server } = await atWork(t);
    const channel = app.createChannel('close').setHandler('request', (message) => {
      message.connection.close();
      return 'unheard';
    });
    if (place === 'middleware') {
      channel.use(async (message) => {
        message.connection.close();
        await Promise.resolve();
        return true;
      });
    }
    const left = once(server, 'disconnection');
    await assert.rejects((await client()).call('close', 1), { code: /REMOTE_CLOSED|NETWORK_LOST|REMOTE_LOST/ });
    await left;
    assert.equal(server.getStats().requestsOpen, 0);
  });
}

for (const what of ['closes the connection', 'throws'] as const) {
  test(`a listener of the event connection that ${what} leaves no ghost, of whatever protocol`, async (t) => {
    const work = await atWork(t, 'tcp', { host: '127.0.0.1' });
    const { server } = work;
    const faults: Error[] = [];
    server.on('fault', (error) => faults.push(error));
    server.on('connection', (connection) => {
      if (what === 'throws') throw new Error('listener');
      connection.close();
    });
    const native = new IPCClient('test', { ...work.address, reconnect: false });
    let left = once(server, 'disconnection');
    await native.connect().catch(() => undefined);
    if (what === 'throws') await native.ping();
    await native.disconnect();
    await left;
    left = once(server, 'disconnection');
    const old = await OldWire.connect(server.port);
    old.send(bodyOf({ app_id: 'test', channel_id: 'system', payload: { action: 'connect', connection_id: 'o' } }));
    if (what === 'throws') {
      await old.next();
      old.close();
    } else await old.ended();
    await left;
    assert.equal(server.getStats().totalConnections, 0);
    assert.equal(faults.length, what === 'throws' ? 2 : 0);
  });
}

test('stop() from inside a handler ends the server and its caller', async (t) => {
  const { app, client, server } = await atWork(t);
  const stopped = deferred();
  app.createChannel('stop').setHandler('request', async () => {
    await server.stop();
    stopped.resolve();
  });
  await assert.rejects((await client()).call('stop', 1), { code: /REMOTE_DRAINING|REMOTE_CLOSED|NETWORK_LOST/ });
  await stopped.promise;
});

test('handlers that stop the server and await it do not wait for themselves or each other, but for all other requests', async (t) => {
  const { app, client, server } = await atWork(t);
  const [gate, begun] = [deferred<string>(), deferred()];
  app.createChannel('slow').setHandler('request', () => {
    begun.resolve();
    return gate.promise;
  });
  const ends = new Collected<string>();
  app.createChannel('stop').setHandler('request', async (message) => {
    await Promise.resolve();
    await server.stop({ drain: 3_600_000, within: message });
    ends.add('stopped');
  });
  const caller = await client();
  const slow = caller.call('slow', 1);
  await begun.promise;
  const stops = [1, 2].map(() => assert.rejects(caller.call('stop', 1), { code: 'NETWORK_LOST' }));
  const untilDraining = async (): Promise<never> => {
    for (;;) await caller.call('system', { action: 'ping' });
  };
  await assert.rejects(untilDraining, { code: 'REMOTE_DRAINING' });
  assert.deepEqual(ends.values, []);
  gate.resolve('done');
  assert.equal(await slow, 'done');
  await Promise.all(stops);
  await ends.until(2);
});

test('an old client’s handler stops the server as well; a handler that does not await is answered', async (t) => {
  const { app, server } = await atWork(t, 'tcp', { host: '127.0.0.1' });
  let stopped: Promise<void> | undefined;
  app.createChannel('await').setHandler('request', (message) => server.stop({ drain: 3_600_000, within: message }));
  app.createChannel('stop').setHandler('request', () => {
    stopped = server.stop({ drain: 3_600_000 });
    return 'stopping';
  });
  const [first, second] = [await OldWire.join(server.port, 'test', 'a'), await OldWire.join(server.port, 'test', 'b')];
  first.send(bodyOf({ app_id: 'test', channel_id: 'stop', message_id: 'x' }));
  assert.equal((await first.next())['payload'], 'stopping');
  second.send(bodyOf({ app_id: 'test', channel_id: 'await', message_id: 'y' }));
  await stopped;
  await second.ended();
  for (const wire of [first, second]) wire.close();
});

test('a later stop cuts the time of an earlier one short, where it says how long', async (t) => {
  const { app, client, server } = await atWork(t);
  const begun = deferred();
  app.createChannel('slow').setHandler('request', () => {
    begun.resolve();
    return new Promise(() => undefined);
  });
  const slow = assert.rejects((await client()).call('slow', 1), { code: 'NETWORK_LOST' });
  await begun.promise;
  const stopping = server.stop({ drain: 3_600_000 });
  assert.throws(() => server.stop({ drain: -1 }), { code: 'USAGE_INVALID_OPTION' });
  assert.throws(() => server.stop({ within: {} as never }), { code: 'USAGE_INVALID_OPTION' });
  assert.equal(server.stop({ drain: 0 }), stopping);
  await Promise.all([stopping, slow]);
});

test('stop() while clients connect leaves nobody behind, and each of them is told', async (t) => {
  const work = await atWork(t);
  const clients = Array.from({ length: 20 }, () => new IPCClient('test', { ...work.address, reconnect: false }));
  const connecting = clients.map((client) => client.connect());
  const [first] = await Promise.allSettled([work.server.stop(), ...connecting]);
  assert.equal(first.status, 'fulfilled');
  assert.equal(work.server.getStats().totalConnections, 0);
  await Promise.all(clients.map((client) => client.disconnect()));
  for (const client of clients) assert.equal(client.connected, false);
});

test('connect that is aborted half-way, and disconnect during connect, leave no connection on either side', async (t) => {
  const gate = deferred<object>();
  const asked = deferred();
  const work = await atWork(t, 'unix', {
    authenticate: () => {
      asked.resolve();
      return gate.promise;
    },
  });
  const aborted = new IPCClient('test', { ...work.address, reconnect: false });
  const abort = new AbortController();
  const connecting = assert.rejects(aborted.connect({ signal: abort.signal }), { code: 'TIME_CANCELLED' });
  const left = new IPCClient('test', { ...work.address, reconnect: false });
  const leaving = assert.rejects(left.connect(), { code: 'USAGE_CLOSED' });
  await asked.promise;
  abort.abort();
  await left.disconnect();
  await Promise.all([connecting, leaving]);
  gate.resolve({});
  const next = await work.client();
  await next.ping();
  assert.equal(work.server.getStats().totalConnections, 1);
  await Promise.all([aborted.disconnect(), left.disconnect()]);
});

test('ten thousand subscriptions of one connection each get theirs, and leave nothing', async (t) => {
  const { app, client, server } = await atWork(t, 'unix', { limits: { subscriptionsMax: 10_000 } });
  const subscriber = await client();
  let got = 0;
  const all = deferred();
  const count = 10_000;
  const heard = (): void => {
    got += 1;
    if (got === count) all.resolve();
  };
  await Promise.all(Array.from({ length: count }, (_, i) => subscriber.subscribe(`c.${i}`, heard)));
  for (let i = 0; i < count; i += 1) assert.equal(app.createChannel(`c.${i}`).publish(i).receivers, 1);
  await all.promise;
  const left = once(server, 'disconnection');
  await subscriber.disconnect();
  await left;
  assert.equal(app.getChannel('c.0')?.receivers.length ?? 0, 0);
});

test('twenty thousand channels pass through one wildcard subscription, names forgotten on the way', async (t) => {
  const { app, client } = await atWork(t);
  const subscriber = await client();
  const count = 20_000;
  const wrong: string[] = [];
  const all = deferred();
  let got = 0;
  await subscriber.subscribe('churn.>', (message) => {
    if (message.channelId !== `churn.${String(message.payload)}`) wrong.push(message.channelId);
    got += 1;
    if (got === count) all.resolve();
  });
  for (let i = 0; i < count; i += 1) {
    const name = `churn.${i}`;
    await app.createChannel(name).publish(i).ready();
    app.removeChannel(name);
  }
  await all.promise;
  assert.deepEqual(wrong, []);
});

test('twelve thousand channels are named while a large body never leaves the way free', async (t) => {
  const { server, client } = await atWork(t);
  const listener = await client();
  const count = 12_000;
  const names = Array.from({ length: count }, (_, i) => `named.${i}`);
  const heard = new Collected<number>();
  const wrong: string[] = [];
  for (const name of names) {
    listener.onNotification(name, ({ channelId, payload }) => {
      if (channelId !== names[payload as number]) wrong.push(channelId);
      heard.add(payload as number);
    });
  }
  for (const name of ['large.1', 'large.2']) listener.onNotification(name, ({ bytes }) => heard.add(bytes.length));
  const closed = new Promise<never>((_, reject) => {
    listener.onDisconnected(reject);
  });
  closed.catch(() => undefined);
  const [connection] = server.connectionManager.listConnections();
  const body = Buffer.alloc(4 * 1024 * 1024);
  // One turn: nothing is written before all of it was laid out.
  connection?.notify('large.1', body);
  for (const [i, name] of names.entries()) {
    if (i === count / 2) connection?.notify('large.2', body);
    connection?.notify(name, i);
  }
  const values = await Promise.race([heard.until(count + 2), closed]);
  assert.deepEqual(wrong, []);
  assert.equal(values.filter((value) => value === body.length).length, 2);
});

test('a pattern of a hundred tokens matches what it says, and a thousand of them cost a publish no time that shows', async (t) => {
  const { app, client } = await atWork(t);
  const subscriber = await client();
  const tokens = (i: number): string =>
    Array.from({ length: 100 }, (_, at) => ((i >> (at % 10)) & 1 ? '*' : 'a')).join('.');
  const names = new Set(Array.from({ length: 1000 }, (_, i) => tokens(i)));
  for (const name of names) await subscriber.subscribe(name, () => undefined);
  const channel = app.createChannel(Array.from({ length: 100 }, () => 'a').join('.'));
  assert.equal(channel.publish(1).receivers, names.size);
});
