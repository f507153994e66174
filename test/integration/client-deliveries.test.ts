// Deliveries that come in one chunk and look alike: each is the message that the server has sent, and what is
// wrong with one of them is found as if it had come alone.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Subscription } from '../../src/client/index.ts';
import { encodeFrame } from '../../src/protocol/codec.ts';
import { ContentType, ExtensionKey, FrameFlag, FrameType } from '../../src/protocol/frame-types.ts';
import type { Message } from '../../src/protocol/messages.ts';
import { connected, type Script, type ScriptedPeer } from '../support/scripted-server.ts';

type Fields = Parameters<typeof encodeFrame>[0];

const CHANNEL = 3;

interface Subscribed extends Script {
  readonly server: ScriptedPeer;
  readonly subscription: Subscription;
  readonly seen: string[];
  delivery(text: string, changes?: Partial<Fields>): Fields;
  /** Resolves when the client has taken what was sent before. */
  taken(): Promise<void>;
}

/** A client that has subscribed, and a server that has told it one channel. */
async function subscribed(
  t: TestContext,
  also: (message: Message) => unknown = () => undefined,
  options: { readonly creditBytes?: number } = {},
): Promise<Subscribed> {
  const made = await connected({ reconnect: false });
  const { client, server } = made;
  t.after(() => client.disconnect());
  const seen: string[] = [];
  const subscribing = client.subscribe(
    'a',
    (message) => {
      seen.push(message.payload as string);
      return also(message);
    },
    options,
  );
  const { id } = await server.next(FrameType.SUBSCRIBE);
  server.send({ type: FrameType.OK, id }, { type: FrameType.DECLARE, channel: CHANNEL, payload: Buffer.from('a') });
  const delivery = (text: string, changes: Partial<Fields> = {}): Fields => ({
    type: FrameType.DELIVERY,
    id,
    channel: CHANNEL,
    content: ContentType.TEXT,
    payload: Buffer.from(text),
    ...changes,
  });
  const taken = async (): Promise<void> => {
    server.send({ type: FrameType.PING, id: 9 });
    await server.next(FrameType.PONG);
  };
  return { ...made, subscription: await subscribing, seen, delivery, taken };
}

test('deliveries with extensions have their own payloads and their own extensions', async (t) => {
  const ids: string[] = [];
  const { server, delivery, seen, taken } = await subscribed(t, (message) => void ids.push(message.messageId));
  const named = (id: string): Partial<Fields> => ({
    extensions: new Map([[ExtensionKey.MESSAGE_ID, Buffer.from(id)]]),
  });
  server.send(delivery('one', named('m1')), delivery('two', named('m2')), delivery('three', named('another')));
  await taken();
  assert.deepEqual(seen, ['one', 'two', 'three']);
  assert.deepEqual(ids, ['m1', 'm2', 'another']);
});

test('deliveries that come as pieces of bodies of the same number are told apart', async (t) => {
  const { server, delivery, seen, taken } = await subscribed(t);
  const whole = (text: string): Fields => {
    const body = encodeFrame(delivery(text));
    const flags = FrameFlag.FIRST | FrameFlag.LAST;
    return { type: FrameType.FRAGMENT, flags, id: 1, value: body.length, payload: body };
  };
  server.send(whole('one'), whole('two'), delivery('six'), delivery('ten'), whole('end'));
  await taken();
  assert.deepEqual(seen, ['one', 'two', 'six', 'ten', 'end']);
});

test('what comes beyond the credit ends the connection, wherever it stands in a chunk', async (t) => {
  const { client, server, delivery, seen } = await subscribed(t, () => new Promise(() => undefined), {
    creditBytes: 1024,
  });
  const text = 'x'.repeat(240);
  server.send(...Array.from({ length: 8 }, () => delivery(text)));
  const goodbye = await server.next(FrameType.GOODBYE);
  assert.equal((JSON.parse(Buffer.from(goodbye.payload).toString()) as { code: string }).code, 'PEER_FLOW_CONTROL');
  // The fourth has used the credit up; the fifth is one too many.
  assert.equal(seen.length, 5);
  assert.equal(client.connected, false);
});

test('a delivery to no subscription is nobody’s, even after the subscription that was delivered to last has ended', async (t) => {
  const { server, delivery, seen, subscription, taken } = await subscribed(t);
  server.send(delivery('one'));
  await taken();
  const ending = subscription.unsubscribe();
  const { id } = await server.next(FrameType.UNSUBSCRIBE);
  server.send({ type: FrameType.OK, id }, delivery('late'), delivery('nobody’s', { id: 0 }));
  await ending;
  await taken();
  assert.deepEqual(seen, ['one']);
});

test('a delivery on a channel number that was not declared ends the connection, 0 included', async (t) => {
  for (const channel of [0, CHANNEL + 1]) {
    const { server, delivery, seen } = await subscribed(t);
    server.send(delivery('one', { channel }), delivery('two', { channel }));
    const goodbye = await server.next(FrameType.GOODBYE);
    assert.equal(
      (JSON.parse(Buffer.from(goodbye.payload).toString()) as { code: string }).code,
      'PEER_UNEXPECTED_FRAME',
    );
    assert.deepEqual(seen, []);
  }
});

test('a handler that subscribes anew in the middle of a chunk gets there what was meant for it alone', async (t) => {
  const second: string[] = [];
  let subscribing: Promise<unknown> | undefined;
  const { client, server, delivery, seen, subscription, taken } = await subscribed(t, (message) => {
    if (message.payload !== 'two') return;
    subscription.unsubscribe().catch(assert.ifError);
    subscribing = client.subscribe('a', ({ payload }) => void second.push(payload as string));
  });
  server.send(delivery('one'), delivery('two'), delivery('three'), delivery('four'));
  const ended = await server.next(FrameType.UNSUBSCRIBE);
  const anew = await server.next(FrameType.SUBSCRIBE);
  const own = { id: anew.id };
  server.send({ type: FrameType.OK, id: ended.id }, { type: FrameType.OK, id: anew.id });
  server.send(delivery('late'), delivery('five', own), delivery('six', own), delivery('later'));
  await subscribing;
  await taken();
  assert.deepEqual(seen, ['one', 'two']);
  assert.deepEqual(second, ['five', 'six']);
});

test('a handler that writes over all of its payload changes that of no other message', async (t) => {
  const all: string[] = [];
  const { server, delivery, taken } = await subscribed(t, ({ bytes }) => {
    all.push(Buffer.from(bytes).toString());
    bytes.fill(0xff);
  });
  server.send(...['one', 'two', 'three'].map((text) => delivery(text, { content: ContentType.BYTES })));
  await taken();
  assert.deepEqual(all, ['one', 'two', 'three']);
});
