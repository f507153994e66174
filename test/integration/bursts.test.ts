// Many publishes that come in one chunk are forwarded at once where nobody in the server looks at them. Nobody
// may see a difference: not subscribers of any kind, not the publisher, not one who leaves in the middle.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IPCClient, Subscription } from '../../src/client/index.ts';
import { type AtWork, atWork, Collected, TRANSPORTS, withCode } from '../support/broker-at-work.ts';

/** With middleware, every publish is looked at by itself. */
const WAYS = { atOnce: false, oneByOne: true } as const;

interface Sent {
  readonly channel: 'a' | 'b';
  readonly size: number;
}

const sentArbitrary = fc.array(
  fc.record(
    {
      channel: fc.constantFrom<'a' | 'b'>('a', 'a', 'a', 'b'),
      size: fc.oneof({ weight: 20, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.nat(200_000) }),
    },
    { noNullPrototype: true },
  ),
  { minLength: 50, maxLength: 400 },
);

/** The place in what was sent, of a message of that size. */
function payloadOf(place: number, { size }: Sent): Buffer {
  const payload = Buffer.alloc(4 + size, place);
  payload.writeUInt32BE(place);
  return payload;
}

async function publishAll(publisher: IPCClient, sent: readonly Sent[]): Promise<void> {
  for (const [place, one] of sent.entries()) {
    if (publisher.tryPublish(one.channel, payloadOf(place, one))) continue;
    await publisher.publishReady(one.channel);
    publisher.publish(one.channel, payloadOf(place, one));
  }
}

/** Subscribes in every way that makes a difference to the server, and gives what each of them has seen. */
async function subscribeAll(work: AtWork): Promise<Record<string, Collected<string>>> {
  const seen: Record<string, Collected<string>> = {};
  const [one, two] = [await work.client(), await work.client()];
  const subscribe = async (name: string, client: IPCClient, pattern: string, options = {}) => {
    const collected = new Collected<string>();
    seen[name] = collected;
    const bytes = (payload: unknown) => Buffer.from(payload as Uint8Array);
    await client.subscribe(
      pattern,
      ({ channelId, payload }) =>
        collected.add(`${channelId} ${bytes(payload).readUInt32BE()} ${bytes(payload).length - 4}`),
      options,
    );
  };
  await subscribe('plain', one, 'a');
  await subscribe('same number', two, 'a');
  await subscribe('other channel', one, 'b');
  await subscribe('little credit', two, 'a', { creditBytes: 1024 });
  await subscribe('small outbox', one, '*', { creditBytes: 2048, outboxBytesMax: 4096 });
  await subscribe('lossless', two, '>', { policy: 'drop-oldest' });
  // There is no old client on WebSocket.
  if (work.address.url !== undefined) return seen;
  const old = await work.client({ protocol: 'json' });
  await subscribe('old', old, 'a');
  // The old protocol confirms no subscription; what is asked behind it is answered after it.
  await old.call('system', { action: 'ping' });
  return seen;
}

const WANTED: Readonly<Record<string, (sent: Sent) => boolean>> = {
  plain: ({ channel }) => channel === 'a',
  'same number': ({ channel }) => channel === 'a',
  'other channel': ({ channel }) => channel === 'b',
  'little credit': ({ channel }) => channel === 'a',
  'small outbox': () => true,
  lossless: () => true,
  old: ({ channel }) => channel === 'a',
};

for (const transport of TRANSPORTS) {
  for (const [way, looked] of Object.entries(WAYS)) {
    test(`${transport}, ${way}: every subscriber gets every message, whole and in order, whatever its credit`, async (t) => {
      const work = await atWork(t, transport);
      if (looked) work.server.use(() => true);
      const publisher = await work.client();
      const seen = await subscribeAll(work);
      await fc.assert(
        fc.asyncProperty(sentArbitrary, async (sent) => {
          for (const collected of Object.values(seen)) collected.values.length = 0;
          await publishAll(publisher, sent);
          for (const [name, collected] of Object.entries(seen)) {
            const wanted = sent.flatMap((one, place) =>
              WANTED[name]?.(one) === true ? [`${one.channel} ${place} ${one.size}`] : [],
            );
            const got = await collected.until(wanted.length);
            // Order is promised for each channel: others may pass a large message.
            for (const channel of ['a ', 'b ']) {
              const of = (all: readonly string[]): string[] => all.filter((one) => one.startsWith(channel));
              assert.deepEqual(of(got), of(wanted), name);
            }
          }
        }),
        { numRuns: 15, endOnFailure: true },
      );
    });
  }
}

test('who drops is told exactly how many of a chunk it did not get, and gets the others in order', async (t) => {
  const { client } = await atWork(t);
  const publisher = await client();
  for (const policy of ['drop-oldest', 'drop-newest', 'latest-only'] as const) {
    const subscriber = await client();
    const seen: number[] = [];
    const subscription = await subscriber.subscribe(
      policy,
      ({ payload }) => void seen.push((payload as Buffer).readUInt32BE()),
      { policy, creditBytes: 1024, outboxBytesMax: 2048 },
    );
    const sent = 5000;
    for (let place = 0; place < sent; place += 1) {
      publisher.publish(policy, payloadOf(place, { channel: 'a', size: 20 }));
    }
    while (seen.length + subscription.lost < sent) await subscriber.call('system', { action: 'ping' });
    assert.equal(seen.length + subscription.lost, sent, policy);
    assert.ok(subscription.lost > 0, policy);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
      policy,
    );
  }
});

test('who unsubscribes or disconnects in the middle of a chunk sees nothing of what stands behind', async (t) => {
  const { client } = await atWork(t);
  const publisher = await client();
  for (const leave of ['unsubscribe', 'disconnect'] as const) {
    const subscriber = await client();
    const seen: number[] = [];
    const subscription: Subscription = await subscriber.subscribe('a', ({ payload }) => {
      seen.push((payload as Buffer).readUInt32BE());
      if (seen.length < 10) return;
      if (leave === 'unsubscribe') subscription.unsubscribe().catch(assert.ifError);
      else subscriber.disconnect().catch(assert.ifError);
    });
    for (let place = 0; place < 300; place += 1) publisher.publish('a', payloadOf(place, { channel: 'a', size: 1 }));
    await publisher.publishConfirmed('a', payloadOf(300, { channel: 'a', size: 1 }));
    if (leave === 'unsubscribe') await subscriber.call('system', { action: 'ping' });
    assert.deepEqual(
      seen,
      Array.from({ length: 10 }, (_, place) => place),
    );
  }
});

test('a handler that throws at one message of a chunk is told of, and gets the others', async (t) => {
  const { client } = await atWork(t);
  const [publisher, subscriber] = [await client(), await client()];
  const errors = new Collected<Error>();
  subscriber.on('error', (error) => errors.add(error));
  const seen = new Collected<number>();
  await subscriber.subscribe('a', ({ payload }) => {
    const place = (payload as Buffer).readUInt32BE();
    seen.add(place);
    if (place === 7) throw new Error('seven');
  });
  for (let place = 0; place < 20; place += 1) publisher.publish('a', payloadOf(place, { channel: 'a', size: 1 }));
  assert.equal((await seen.until(20)).length, 20);
  assert.ok(withCode('USAGE_HANDLER_FAILED')((await errors.until(1))[0]));
});
