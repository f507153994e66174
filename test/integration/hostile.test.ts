// What is wrong on the wire ends that one connection, which is told why; everybody else goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { decodeFrame, encodeFrame } from '../../src/protocol/codec.ts';
import { FrameCutter } from '../../src/protocol/frame.ts';
import { ContentType, FrameFlag, FrameType, PROTOCOL_MAGIC } from '../../src/protocol/frame-types.ts';
import { type AtWork, atWork } from '../support/broker-at-work.ts';

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));

function framed(body: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

const hello = (fields: object = { app: 'test' }, version = 1, magic = PROTOCOL_MAGIC): Buffer =>
  framed(encodeFrame({ type: FrameType.HELLO, id: magic, channel: version, value: version, payload: json(fields) }));

const declare = (number: number, name: string): Buffer =>
  framed(encodeFrame({ type: FrameType.DECLARE, channel: number, payload: Buffer.from(name) }));

/** Sends the bytes and gives the code of the goodbye that the server answers before it hangs up. */
async function goodbyeTo(work: AtWork, ...parts: Buffer[]): Promise<string> {
  const socket = connect((work.address as { path: string }).path);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // The server may have hung up before everything was written.
  socket.on('error', () => undefined);
  socket.write(Buffer.concat(parts));
  await once(socket, 'close');
  const cutter = new FrameCutter(1 << 20);
  cutter.push(Buffer.concat(chunks));
  let code = 'no goodbye';
  while (cutter.next()) {
    const frame = decodeFrame(cutter.buffer, cutter.start, cutter.end);
    if (frame.type !== FrameType.GOODBYE) continue;
    const fields = JSON.parse(Buffer.from(frame.payload).toString()) as { code: string };
    code = fields.code;
  }
  return code;
}

const notification = (channel: number): Buffer => framed(encodeFrame({ type: FrameType.NOTIFICATION, channel }));

const CASES: readonly (readonly [title: string, parts: readonly Buffer[], code: string])[] = [
  [
    'garbage in place of a frame',
    [Buffer.from('00000014ffffffffffffffffffffffffffffffffffffffff', 'hex')],
    'PEER_UNKNOWN_FRAME',
  ],
  ['an empty frame', [hello(), Buffer.alloc(4)], 'PEER_MALFORMED_FRAME'],
  ['a frame shorter than its header', [hello(), framed(Buffer.from([FrameType.PING]))], 'PEER_MALFORMED_FRAME'],
  ['a length of a gigabyte', [hello(), Buffer.from('40000000', 'hex')], 'LIMIT_MESSAGE_BYTES'],
  ['a handshake of a megabyte', [Buffer.from('00100000', 'hex'), Buffer.alloc(10)], 'LIMIT_MESSAGE_BYTES'],
  ['a TLS greeting', [Buffer.from('1603010200010001fc0303', 'hex')], 'LIMIT_MESSAGE_BYTES'],
  ['another magic number', [hello({ app: 'test' }, 1, 7)], 'PEER_MALFORMED_FRAME'],
  ['a version that is not spoken', [hello({ app: 'test' }, 2)], 'PEER_VERSION'],
  [
    'a hello that is not JSON',
    [
      framed(
        encodeFrame({ type: FrameType.HELLO, id: PROTOCOL_MAGIC, channel: 1, value: 1, payload: Buffer.from('{') }),
      ),
    ],
    'PEER_MALFORMED_FRAME',
  ],
  ['a hello without an application', [hello({})], 'PEER_MALFORMED_FRAME'],
  ['an application with a control character', [hello({ app: 'a\nb' })], 'USAGE_INVALID_NAME'],
  ['a frame before the hello', [notification(1)], 'PEER_UNEXPECTED_FRAME'],
  ['a second hello', [hello(), hello()], 'PEER_UNEXPECTED_FRAME'],
  ['a channel that was not declared', [hello(), notification(9)], 'PEER_UNEXPECTED_FRAME'],
  ['a number with two names', [hello(), declare(1, 'a'), declare(1, 'b')], 'PEER_UNEXPECTED_FRAME'],
  [
    'a name that is not UTF-8',
    [hello(), framed(encodeFrame({ type: FrameType.DECLARE, channel: 1, payload: Buffer.from([0xff]) }))],
    'PEER_MALFORMED_FRAME',
  ],
  ['a delivery from a client', [hello(), framed(encodeFrame({ type: FrameType.DELIVERY }))], 'PEER_UNEXPECTED_FRAME'],
  [
    'a request with the id 0',
    [hello(), declare(1, 'a'), framed(encodeFrame({ type: FrameType.REQUEST, channel: 1 }))],
    'PEER_UNEXPECTED_FRAME',
  ],
  [
    'a subscription without a pattern',
    [hello(), framed(encodeFrame({ type: FrameType.SUBSCRIBE, id: 1, payload: json({}) }))],
    'PEER_MALFORMED_FRAME',
  ],
  [
    'a policy that does not exist',
    [hello(), framed(encodeFrame({ type: FrameType.SUBSCRIBE, id: 1, payload: json({ pattern: 'a', policy: 'x' }) }))],
    'PEER_MALFORMED_FRAME',
  ],
  [
    'extensions that reach past the frame',
    [
      hello(),
      framed(
        Buffer.concat([encodeFrame({ type: FrameType.PING, flags: FrameFlag.EXTENSIONS }), Buffer.from('ffff', 'hex')]),
      ),
    ],
    'PEER_MALFORMED_FRAME',
  ],
  [
    'an extension that must be understood',
    [hello(), framed(encodeFrame({ type: FrameType.PING, extensions: new Map([[0x90, Buffer.alloc(1)]]) }))],
    'PEER_UNKNOWN_EXTENSION',
  ],
  [
    'a piece of nothing',
    [hello(), framed(encodeFrame({ type: FrameType.FRAGMENT, id: 1, value: 100, payload: Buffer.alloc(10) }))],
    'PEER_MALFORMED_FRAME',
  ],
  [
    'a message of four gigabytes in pieces',
    [
      hello(),
      framed(
        encodeFrame({
          type: FrameType.FRAGMENT,
          flags: FrameFlag.FIRST,
          id: 1,
          value: 0xffffffff,
          payload: Buffer.alloc(10),
        }),
      ),
    ],
    'LIMIT_MESSAGE_BYTES',
  ],
];

for (const [title, parts, code] of CASES) {
  test(`${title} is answered with ${code}, and others go on`, async (t) => {
    const work = await atWork(t);
    work.app.createChannel('echo').setHandler('request', (message) => message.payload);
    const bystander = await work.client();
    assert.equal(await goodbyeTo(work, ...parts), code);
    assert.equal(await bystander.call('echo', 'still here'), 'still here');
  });
}

test('whoever publishes without credit is closed', async (t) => {
  const work = await atWork(t, 'unix', { limits: { publishWindowBytes: 1024 } });
  const bystander = await work.client();
  const never = new Promise<void>((resolve) => t.after(() => resolve()));
  await bystander.subscribe('slow', () => never, { creditBytes: 1024, outboxBytesMax: 1024 });
  const publish = framed(
    encodeFrame({ type: FrameType.PUBLISH, channel: 1, content: ContentType.BYTES, payload: Buffer.alloc(1000) }),
  );
  assert.equal(
    await goodbyeTo(work, hello(), declare(1, 'slow'), ...Array.from({ length: 8 }, () => publish)),
    'PEER_FLOW_CONTROL',
  );
});

test('a client that says nothing is shown out when the time for the handshake is over', async (t) => {
  const work = await atWork(t, 'unix', { handshakeTimeoutMs: 30 });
  const socket = connect((work.address as { path: string }).path);
  socket.resume();
  await once(socket, 'close');
  assert.equal(await goodbyeTo(work, hello().subarray(0, 12)), 'PEER_HANDSHAKE_TIMEOUT');
});

test('one connection too many is refused with its code, and room is free again when one goes', async (t) => {
  const work = await atWork(t, 'unix', { maxConnections: 2 });
  const first = await work.client();
  await work.client();
  assert.equal(await goodbyeTo(work, hello()), 'LIMIT_CONNECTIONS');
  assert.equal(work.server.getStats().connectionsRefused, 1);
  await first.disconnect();
  const again = await work.client();
  assert.equal(again.connected, true);
});

test('more subscriptions, channels or messages than allowed are refused with their codes', async (t) => {
  const work = await atWork(t, 'unix', {
    limits: { subscriptionsMax: 2, declaredChannelsMax: 3 },
    messagesPerSecondMax: 500,
  });
  const subscriber = await work.client();
  await subscriber.subscribe('a', () => undefined);
  await subscriber.subscribe('b', () => undefined);
  await assert.rejects(
    subscriber.subscribe('c', () => undefined),
    { code: 'LIMIT_SUBSCRIPTIONS' },
  );
  const names = Array.from({ length: 4 }, (_, i) => declare(i + 1, `channel ${i}`));
  assert.equal(await goodbyeTo(work, hello(), ...names), 'LIMIT_CHANNELS');
  const flood = Array.from({ length: 600 }, () => framed(encodeFrame({ type: FrameType.PONG })));
  assert.equal(await goodbyeTo(work, hello(), ...flood), 'LIMIT_RATE');
});

test('a message over the server’s limit is refused at the caller, before it is sent', async (t) => {
  const work = await atWork(t, 'unix', { limits: { messageBytesMax: 10_000 } });
  work.app.createChannel('echo').setHandler('request', (message) => message.payload);
  const caller = await work.client();
  await assert.rejects(caller.call('echo', Buffer.alloc(10_001)), { code: 'LIMIT_MESSAGE_BYTES' });
  assert.equal(((await caller.call('echo', Buffer.alloc(9000))) as Buffer).length, 9000);
});

/** Writes bytes at random positions into a valid conversation, with a seed that is printed when it fails. */
async function mangledConversation(t: TestContext, seed: number): Promise<void> {
  const work = await atWork(t);
  work.app.createChannel('echo').setHandler('request', (message) => message.payload);
  const bystander = await work.client();
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % below;
  };
  const conversation = Buffer.concat([
    hello(),
    declare(1, 'echo'),
    framed(encodeFrame({ type: FrameType.SUBSCRIBE, id: 1, payload: json({ pattern: 'echo' }) })),
    framed(
      encodeFrame({
        type: FrameType.REQUEST,
        id: 2,
        channel: 1,
        content: ContentType.TEXT,
        payload: Buffer.from('hi'),
      }),
    ),
    framed(encodeFrame({ type: FrameType.PUBLISH, id: 3, channel: 1, payload: Buffer.from('hi') })),
  ]);
  for (let round = 0; round < 40; round += 1) {
    const bytes = Buffer.from(conversation);
    for (let i = 0; i < 3; i += 1) bytes[random(bytes.length)] = random(256);
    const socket: Socket = connect((work.address as { path: string }).path);
    socket.on('error', () => undefined);
    socket.resume();
    socket.end(bytes);
    await once(socket, 'close');
    assert.equal(await bystander.call('echo', round), round, `seed ${seed}, round ${round}`);
  }
}

test('a mangled conversation harms nobody else', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  await mangledConversation(t, seed);
});
