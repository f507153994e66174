// Every request ends, and in the way that is true: over each transport.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../../src/base/errors.ts';
import { atWork, Collected, deferred, TRANSPORTS, withCode } from '../support/broker-at-work.ts';

for (const transport of TRANSPORTS) {
  test(`${transport}: a request is answered with what the handler returns, of every type`, async (t) => {
    const { app, client } = await atWork(t, transport);
    app.createChannel('echo').setHandler('request', (message) => message.payload);
    const caller = await client();
    for (const value of [{ a: [1, null] }, 'grüße', 0, null, undefined, true, ['x']]) {
      assert.deepEqual(await caller.call('echo', value), value);
    }
    const bytes = Buffer.from([0, 255, 1]);
    assert.deepEqual(await caller.call('echo', bytes), bytes);
    assert.deepEqual(await caller.call('echo', Float64Array.of(1.5)), Float64Array.of(1.5));
  });

  test(`${transport}: a megabyte and ten go there and back unharmed`, async (t) => {
    const { app, client } = await atWork(t, transport);
    app.createChannel('echo').setHandler('request', (message) => message.payload);
    const caller = await client();
    for (const size of [1 << 20, 10 << 20]) {
      const bytes = Buffer.alloc(size, 'isthmus');
      assert.ok(bytes.equals((await caller.call('echo', bytes)) as Buffer));
    }
  });

  test(`${transport}: a thousand requests at once get their own answers`, async (t) => {
    const { app, client } = await atWork(t, transport);
    app.createChannel('double').setHandler('request', async (message) => (message.payload as number) * 2);
    const caller = await client();
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => caller.call('double', i)));
    assert.deepEqual(
      answers,
      Array.from({ length: 1000 }, (_, i) => i * 2),
    );
  });

  test(`${transport}: a streamed response arrives in order, and stops when the caller leaves`, async (t) => {
    const { app, client } = await atWork(t, transport);
    const closed = deferred();
    app.createChannel('count').setHandler('request', async function* () {
      try {
        for (let i = 0; ; i += 1) yield i;
      } finally {
        closed.resolve();
      }
    });
    const caller = await client();
    const seen: unknown[] = [];
    for await (const value of caller.stream('count', null)) {
      seen.push(value);
      if (seen.length === 5000) break;
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 5000 }, (_, i) => i),
    );
    await closed.promise;
  });

  test(`${transport}: what a handler throws reaches the caller with its code`, async (t) => {
    const { app, client } = await atWork(t, transport);
    app.createChannel('boom').setHandler('request', () => {
      throw Object.assign(new RangeError('too far'), { code: 'E_FAR' });
    });
    app.createChannel('no').setHandler('request', async () => {
      throw new IPCError('REMOTE_FORBIDDEN', 'not you', { details: { who: 'you' } });
    });
    const caller = await client();
    await assert.rejects(caller.call('boom', 1), (error: IPCError) => {
      assert.deepEqual([error.code, error.message], ['REMOTE_HANDLER_FAILED', 'too far']);
      assert.deepEqual(error.details, { name: 'RangeError', code: 'E_FAR' });
      return true;
    });
    await assert.rejects(caller.call('no', 1), (error: IPCError) => {
      assert.deepEqual([error.code, error.message, error.details], ['REMOTE_FORBIDDEN', 'not you', { who: 'you' }]);
      return true;
    });
  });

  test(`${transport}: a caller's abort and a deadline reach the handler`, async (t) => {
    const { app, client } = await atWork(t, transport);
    const started = new Collected<number | undefined>();
    const reasons = new Collected<string>();
    app.createChannel('never').setHandler('request', (message) => {
      started.add(message.deadline);
      return new Promise(() => {
        message.signal.addEventListener('abort', () => reasons.add((message.signal.reason as IPCError).code));
      });
    });
    const caller = await client();
    const abort = new AbortController();
    const aborted = assert.rejects(
      caller.call('never', 1, { signal: abort.signal, timeout: 0 }),
      withCode('TIME_CANCELLED'),
    );
    await started.until(1);
    abort.abort();
    await aborted;
    assert.deepEqual(await reasons.until(1), ['REMOTE_CANCELLED']);
    await assert.rejects(caller.call('never', 1, { timeout: 20 }), withCode('TIME_OUT'));
    await reasons.until(2);
    assert.equal(started.values[0], undefined);
    assert.equal(typeof started.values[1], 'number');
  });

  test(`${transport}: a request is lost with its connection, on both sides`, async (t) => {
    const { app, server, client } = await atWork(t, transport);
    const reason = deferred<string>();
    const started = deferred();
    app.createChannel('never').setHandler('request', (message) => {
      message.signal.addEventListener('abort', () => reason.resolve((message.signal.reason as IPCError).code));
      started.resolve();
      return new Promise(() => undefined);
    });
    const caller = await client();
    const lost = assert.rejects(caller.call('never', 1), (error: IPCError) => error.retry);
    await started.promise;
    for (const connection of server.connectionManager.listConnections()) connection.close();
    await lost;
    assert.equal(await reason.promise, 'REMOTE_LOST');
  });
}

test('unknown channel, no handler, no application: an error with its own code, at once', async (t) => {
  const { app, client } = await atWork(t, 'unix', { application: { autoCreateChannels: false } });
  app.createChannel('silent');
  const caller = await client();
  await assert.rejects(caller.call('silent', 1), withCode('REMOTE_NO_HANDLER'));
  await assert.rejects(caller.call('missing', 1), withCode('REMOTE_NO_CHANNEL'));
});

test('an application that is not made automatically is refused by name', async (t) => {
  const { client } = await atWork(t, 'unix', { autoCreate: false });
  const known = await client();
  assert.equal(known.connected, true);
  const { IPCClient } = await import('../../src/client/index.ts');
  const stranger = new IPCClient('elsewhere', { reconnect: false, path: known.getConnectionInfo().address.slice(5) });
  await assert.rejects(stranger.connect(), withCode('REMOTE_NO_APPLICATION'));
  await stranger.disconnect();
});

test('a slow handler holds up nobody else', async (t) => {
  const { app, client } = await atWork(t);
  const gate = deferred<string>();
  app.createChannel('slow').setHandler('request', () => gate.promise);
  app.createChannel('quick').setHandler('request', () => 'quick');
  const [one, other] = [await client(), await client()];
  const slow = one.call('slow', 1);
  assert.equal(await one.call('quick', 1), 'quick');
  assert.equal(await other.call('quick', 1), 'quick');
  gate.resolve('slow');
  assert.equal(await slow, 'slow');
});

test('a handler may ask its caller back while it answers', async (t) => {
  const { app, client } = await atWork(t);
  app.createChannel('ask').setHandler('request', async (message, connection) => {
    const answer = await connection.request('name', 'who?');
    return `hello ${String(answer.payload)}`;
  });
  const caller = await client();
  caller.handle('name', () => 'Ada');
  assert.equal(await caller.call('ask', 1), 'hello Ada');
});

test('the server asks a client: answered, failed, nobody there, aborted', async (t) => {
  const { server, client } = await atWork(t);
  const worker = await client();
  worker.handle('add', (message) => (message.payload as number) + 1);
  worker.handle('fail', () => {
    throw new Error('broken');
  });
  const stopped = deferred();
  const began = deferred();
  worker.handle('never', (_message, { signal }) => {
    signal.addEventListener('abort', () => stopped.resolve());
    began.resolve();
    return new Promise(() => undefined);
  });
  const [peer] = server.connectionManager.listConnections();
  assert.ok(peer !== undefined);
  assert.equal((await peer.request('add', 1)).payload, 2);
  await assert.rejects(peer.request('fail', 1), withCode('REMOTE_HANDLER_FAILED'));
  await assert.rejects(peer.request('nothing', 1), withCode('REMOTE_NO_HANDLER'));
  const abort = new AbortController();
  const aborted = assert.rejects(peer.request('never', 1, { signal: abort.signal }), withCode('TIME_CANCELLED'));
  await began.promise;
  abort.abort();
  await aborted;
  await stopped.promise;
});

test('workers share the requests of a channel, and a lost worker’s callers are told', async (t) => {
  const { client } = await atWork(t);
  const [first, second, caller] = [await client(), await client(), await client()];
  const gate = deferred();
  const taken = new Collected<string>();
  const serve = (name: string) => async () => {
    taken.add(name);
    await gate.promise;
    return name;
  };
  await first.serve('work', serve('first'));
  await second.serve('work', serve('second'));
  const answers = [1, 2, 3, 4].map((i) => caller.call('work', i));
  const settled = Promise.allSettled(answers);
  await taken.until(4);
  assert.deepEqual([...taken.values].sort(), ['first', 'first', 'second', 'second']);
  await first.disconnect();
  gate.resolve();
  const results = await settled;
  const codes = results.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as IPCError).code));
  assert.deepEqual(codes.sort(), ['REMOTE_LOST', 'REMOTE_LOST', 'second', 'second']);
});

test('a stream of a worker passes through the server, and the caller’s leaving reaches the worker', async (t) => {
  const { client } = await atWork(t);
  const [worker, caller] = [await client(), await client()];
  const closed = deferred();
  await worker.serve('lines', async function* () {
    try {
      for (let i = 0; ; i += 1) yield { line: i };
    } finally {
      closed.resolve();
    }
  });
  let count = 0;
  for await (const value of caller.stream('lines', null)) {
    assert.deepEqual(value, { line: count });
    count += 1;
    if (count === 20_000) break;
  }
  await closed.promise;
});

test('a call of a handler that streams is told to use stream()', async (t) => {
  const { app, client } = await atWork(t);
  app.createChannel('lines').setHandler('request', function* () {
    yield 1;
  });
  const caller = await client();
  await assert.rejects(caller.call('lines', null), withCode('REMOTE_STREAMS'));
});

test('a stream that fails half-way gives what came and then the error', async (t) => {
  const { app, client } = await atWork(t);
  app.createChannel('half').setHandler('request', async function* () {
    yield 1;
    yield 2;
    throw new Error('then not');
  });
  const caller = await client();
  const seen: unknown[] = [];
  await assert.rejects(async () => {
    for await (const value of caller.stream('half', null)) seen.push(value);
  }, withCode('REMOTE_HANDLER_FAILED'));
  assert.deepEqual(seen, [1, 2]);
});

test('middleware of server, application and channel runs in this order, and a falsy result refuses', async (t) => {
  const { server, app, client } = await atWork(t);
  const seen: string[] = [];
  server.use(() => seen.push('server'));
  app.use(async () => seen.push('application'));
  const channel = app.createChannel('guarded');
  channel.use((message) => {
    seen.push('channel');
    return message.payload !== 'no';
  });
  channel.setHandler('request', () => 'in');
  const caller = await client();
  assert.equal(await caller.call('guarded', 'yes'), 'in');
  assert.deepEqual(seen, ['server', 'application', 'channel']);
  await assert.rejects(caller.call('guarded', 'no'), withCode('REMOTE_REFUSED'));
});

test('a server that drains finishes what is open and refuses what is new', async (t) => {
  const { server, app, client } = await atWork(t);
  const gate = deferred<string>();
  const started = deferred();
  app.createChannel('slow').setHandler('request', () => {
    started.resolve();
    return gate.promise;
  });
  app.createChannel('quick').setHandler('request', () => 'quick');
  const caller = await client();
  const slow = caller.call('slow', 1);
  await started.promise;
  const stopped = server.stop({ drain: 60_000 });
  assert.equal(server.stop(), stopped);
  await assert.rejects(caller.call('quick', 1), withCode('REMOTE_DRAINING'));
  gate.resolve('done');
  assert.equal(await slow, 'done');
  await stopped;
  assert.equal(server.running, false);
});

test('the system channel answers ping, get_time, list_services and presence', async (t) => {
  const { app, client } = await atWork(t);
  app.createChannel('orders');
  const caller = await client({ name: 'Ada' });
  assert.deepEqual(await caller.call('system', { action: 'ping' }), { status: 'pong' });
  const time = (await caller.call('system', { action: 'get_time' })) as { time: number };
  assert.equal(typeof time.time, 'number');
  assert.deepEqual(await caller.call('system', { action: 'list_services' }), { status: 'ok', services: ['orders'] });
  const present = (await caller.call('system', { action: 'presence' })) as { members: { name: string }[] };
  assert.deepEqual(
    present.members.map(({ name }) => name),
    ['Ada'],
  );
  await assert.rejects(caller.call('system', { action: 'dance' }), withCode('REMOTE_NO_HANDLER'));
});
