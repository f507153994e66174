// What makes no sense is refused at once, with its code, and harms nothing that goes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCClient, type Message } from '../../src/client/index.ts';
import { coded, scene } from '../support/client-scene.ts';

/** A client as JavaScript sees it. */
type Loose = Readonly<Record<string, (...args: unknown[]) => unknown>>;

const cycle: { self?: unknown } = {};
cycle.self = cycle;

const UNSERIALIZABLE: Readonly<Record<string, unknown>> = {
  'a function': () => 1,
  'a symbol': Symbol('x'),
  'a bigint': 1n,
  'a bigint inside': { n: 1n },
  'a cycle': cycle,
  'what throws when it is looked at': {
    toJSON() {
      throw new Error('no');
    },
  },
};

const NAMES: Readonly<Record<string, unknown>> = {
  undefined,
  null: null,
  'a number': 7,
  empty: '',
  'a control character': 'a\nb',
  'half a character': '\ud800',
  'too long': 'x'.repeat(256),
};

/** Every operation that sends a payload to a channel. */
const SENDING: Readonly<Record<string, (client: Loose, channel: unknown, data: unknown) => unknown>> = {
  call: (client, channel, data) => client['call']?.(channel, data),
  sendRequest: (client, channel, data) => client['sendRequest']?.(channel, data),
  sendRequestAsync: (client, channel, data) => client['sendRequestAsync']?.(channel, data, () => {}),
  request: (client, channel, data) => client['request']?.(channel, data),
  stream: (client, channel, data) => (client['stream']?.(channel, data) as AsyncIterator<unknown> | undefined)?.next(),
  notify: (client, channel, data) => client['notify']?.(channel, data),
  publish: (client, channel, data) => client['publish']?.(channel, data),
  tryPublish: (client, channel, data) => client['tryPublish']?.(channel, data),
  publishConfirmed: (client, channel, data) => client['publishConfirmed']?.(channel, data),
  sendMessage: (client, channel, data) => client['sendMessage']?.(channel, 'publish', data),
};

/** Every other operation that takes a channel. */
const NAMING: Readonly<Record<string, (client: Loose, channel: unknown) => unknown>> = {
  subscribe: (client, channel) => client['subscribe']?.(channel, () => {}),
  unsubscribe: (client, channel) => client['unsubscribe']?.(channel),
  serve: (client, channel) => client['serve']?.(channel, () => 1),
  handle: (client, channel) => client['handle']?.(channel, () => 1),
  onNotification: (client, channel) => client['onNotification']?.(channel, () => {}),
  createChannelHandler: (client, channel) => client['createChannelHandler']?.(channel, () => {}),
  publishReady: (client, channel) => client['publishReady']?.(channel),
  waitForMessage: (client, channel) => client['waitForMessage']?.(channel, 10),
};

/** One that is connected, one before its first connection, one of the old protocol. */
async function clients(stage: Awaited<ReturnType<typeof scene>>): Promise<readonly [string, IPCClient][]> {
  return [
    ['connected', await stage.client()],
    ['not connected', new IPCClient('shop', { path: stage.path })],
    ['old protocol', await stage.client({ protocol: 'json' })],
  ];
}

test('a payload that cannot be encoded is refused where it is given', async () => {
  await using stage = await scene();
  for (const [state, client] of await clients(stage)) {
    for (const [how, send] of Object.entries(SENDING)) {
      if (how === 'tryPublish' && state === 'not connected') continue;
      for (const [what, value] of Object.entries(UNSERIALIZABLE)) {
        // The old protocol refuses streams and confirmations before it looks at what they carry; and it has integers of any size.
        if (state === 'old protocol' && (/stream|Confirmed/.test(how) || /bigint/.test(what))) continue;
        await assert.rejects(
          async () => send(client as unknown as Loose, 'sum', value),
          coded('USAGE_UNSERIALIZABLE'),
          `${how} of ${what}, ${state}`,
        );
      }
    }
    assert.equal(client.getConnectionInfo().pending, 0);
    await client.disconnect();
  }
});

test('a name that is none is refused where it is given', async () => {
  await using stage = await scene();
  for (const [state, client] of await clients(stage)) {
    for (const [how, use] of Object.entries({ ...SENDING, ...NAMING })) {
      for (const [what, name] of Object.entries(NAMES)) {
        await assert.rejects(
          async () => use(client as unknown as Loose, name, 1),
          coded('USAGE_INVALID_NAME'),
          `${how} with ${what}, ${state}`,
        );
      }
    }
    assert.equal(client.getConnectionInfo().subscriptions, 0);
    await client.disconnect();
  }
});

test('a payload that is too large is refused before it is sent', async () => {
  await using stage = await scene({ limits: { messageBytesMax: 64 * 1024 } });
  const client = await stage.client();
  for (const [how, send] of Object.entries(SENDING)) {
    await assert.rejects(
      async () => send(client as unknown as Loose, 'sum', 'x'.repeat(64 * 1024)),
      coded('LIMIT_MESSAGE_BYTES'),
      how,
    );
  }
  assert.equal(await client.call('sum', [1, 2]), 3);
  assert.equal(client.getConnectionInfo().pending, 0);
});

test('what JSON can say arrives as JSON says it', async () => {
  await using stage = await scene();
  stage.server
    .getApplication('shop')
    ?.createChannel('echo')
    .setHandler('request', (message: Message) => message.payload);
  const client = await stage.client();
  for (const [sent, arrives] of [
    [undefined, undefined],
    [null, null],
    [Number.NaN, null],
    [{ a: Number.NaN, b: undefined, c: () => 1 }, { a: null }],
    [-0, 0],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Map([[1, 2]]), {}],
    ['', ''],
    [[], []],
  ] as const) {
    assert.deepEqual(await client.call('echo', sent), arrives);
  }
});

test('options and handlers that are none are refused by name', async () => {
  await using stage = await scene();
  const client = await stage.client();
  const loose = client as unknown as Loose;
  const wrong: Readonly<Record<string, () => unknown>> = {
    'options null': () => loose['call']?.('sum', [1], null),
    'options a number': () => loose['call']?.('sum', [1], 5),
    'an unknown option': () => loose['call']?.('sum', [1], { timeOut: 5 }),
    'timeout negative': () => loose['call']?.('sum', [1], { timeout: -1 }),
    'timeout not a number': () => loose['call']?.('sum', [1], { timeout: '5' }),
    'timeout NaN': () => loose['call']?.('sum', [1], { timeout: Number.NaN }),
    'timeout infinite': () => loose['call']?.('sum', [1], { timeout: Number.POSITIVE_INFINITY }),
    'nullOnTimeout no boolean': () => loose['sendRequest']?.('sum', [1], { nullOnTimeout: 1 }),
    'callback missing': () => loose['sendRequestAsync']?.('sum', [1]),
    'stream option unknown': () => loose['stream']?.('sum', [1], { nullOnTimeout: true }),
    'publish option unknown': () => loose['publish']?.('news', 1, { retained: true }),
    'retain no boolean': () => loose['publish']?.('news', 1, { retain: 1 }),
    'tryPublish retain': () => loose['tryPublish']?.('news', 1, { retain: 1 }),
    'publishConfirmed option': () => loose['publishConfirmed']?.('news', 1, { confirm: true }),
    'subscribe handler a number': () => loose['subscribe']?.('news', 42),
    'subscribe handler null': () => loose['subscribe']?.('news', null, {}),
    'subscribe option unknown': () => loose['subscribe']?.('news', { credit: 1 }),
    'policy unknown': () => loose['subscribe']?.('news', () => {}, { policy: 'drop' }),
    'creditBytes too small': () => loose['subscribe']?.('news', () => {}, { creditBytes: 1 }),
    'handle without': () => loose['handle']?.('sum'),
    'serve without': () => loose['serve']?.('sum'),
    'serve maxInFlight 0': () => loose['serve']?.('sum', () => 1, { maxInFlight: 0 }),
    'onNotification without': () => loose['onNotification']?.('sum'),
    'createChannelHandler without': () => loose['createChannelHandler']?.('sum'),
    'waitForMessage timeout': () => loose['waitForMessage']?.('sum', -1),
    'ping timeout': () => loose['ping']?.(-1),
    'connect option': () => loose['connect']?.({ timeout: 1 }),
    'connect null': () => loose['connect']?.(null),
    'event unknown': () => loose['on']?.('conected', () => {}),
    'event of Object': () => loose['on']?.('constructor', () => {}),
    'listener missing': () => loose['onConnected']?.(),
    'message type': () => loose['sendMessage']?.('news', 'response', 1),
  };
  for (const [what, use] of Object.entries(wrong)) {
    await assert.rejects(async () => use(), coded('USAGE_INVALID_OPTION'), what);
  }
  assert.equal(client.getConnectionInfo().subscriptions, 0);
  assert.equal(client.getConnectionInfo().services, 0);
  // The channel that was refused a handler takes one.
  client.handle('sum', () => 1)();
});

test('what returns a promise rejects, and never throws', async () => {
  const client = new IPCClient('shop') as unknown as Loose;
  for (const name of [
    ...['call', 'sendRequest', 'subscribe', 'unsubscribe', 'serve', 'publishConfirmed', 'publishReady'],
    ...['waitForMessage', 'createChannelHandler', 'removeChannelHandler'],
  ]) {
    let promise: unknown;
    assert.doesNotThrow(() => {
      promise = client[name]?.(undefined, 1, 5, 5);
    }, name);
    await assert.rejects(
      promise as Promise<unknown>,
      (error: { code?: string }) => error.code?.startsWith('USAGE_') === true,
      name,
    );
  }
});

test('connect and disconnect in any order and at once end where the last call says', async () => {
  await using stage = await scene();
  for (let seed = 0; seed < 64; seed += 1) {
    const client = new IPCClient('shop', { path: stage.path });
    const calls: Promise<unknown>[] = [];
    for (let bit = 0; bit < 6; bit += 1) {
      const connects = ((seed >> bit) & 1) === 1;
      calls.push(connects ? client.connect().catch(closed) : client.disconnect());
    }
    await Promise.all(calls);
    const lastConnects = ((seed >> 5) & 1) === 1;
    assert.equal(client.connected, lastConnects, `order ${seed.toString(2).padStart(6, '0')}`);
    await client.disconnect();
    assert.equal(client.getConnectionInfo().state, 'idle');
  }
});

function closed(error: unknown): void {
  assert.ok(coded('USAGE_CLOSED')(error), String(error));
}
