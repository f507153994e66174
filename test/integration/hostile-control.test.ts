// Control frames that mean harm: JSON of any depth and kind where an object with known members should be. A
// client is answered by OK, by ERROR or by a GOODBYE with a documented code, and nobody else notices.

import assert from 'node:assert/strict';
import type { NetConnectOpts } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ERROR_CODES } from '../../src/base/error-codes.ts';
import { CLOSE_CODES } from '../../src/protocol/close-codes.ts';
import { FrameType, PROTOCOL_MAGIC } from '../../src/protocol/frame-types.ts';
import { type AtWork, atWork, withCode } from '../support/broker-at-work.ts';
import { declare, frame, json, RawNative } from '../support/raw-native.ts';

const DEPTH = 100_000;
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const deepObject = (depth: number): string => '{"x":'.repeat(depth) + '1' + '}'.repeat(depth);

async function alive(work: AtWork): Promise<void> {
  const client = await work.client();
  assert.deepEqual(await client.call('system', { action: 'ping' }), { status: 'pong' });
  await client.disconnect();
}

test('an unknown member of any depth does not matter', async (t) => {
  const work = await atWork(t);
  const raw = await RawNative.join(work);
  for (const [id, rest] of [deep(DEPTH), deepObject(20_000)].entries()) {
    raw.send(
      frame({ type: FrameType.SUBSCRIBE, id: 2 * id + 1, payload: Buffer.from(`{"pattern":"a","x":${rest}}`) }),
      frame({ type: FrameType.SERVE, id: 2 * id + 2, payload: Buffer.from(`{"channel":"b","x":${rest}}`) }),
    );
    for (const expected of [1, 2]) assert.equal((await raw.next(FrameType.OK)).id, 2 * id + expected);
  }
  raw.send(frame({ type: FrameType.GOODBYE, value: 4000, payload: Buffer.from(`{"code":${deep(DEPTH)}}`) }));
  assert.equal(await raw.goodbye(), 'REMOTE_CLOSED');
  raw.close();
  await alive(work);
});

for (const [title, payload, code] of [
  ['a deep HELLO', `{"app":"test","x":${deep(30_000)}}`, 'welcome'],
  ['a HELLO of depth alone', deep(30_000), 'PEER_MALFORMED_FRAME'],
  ['a HELLO whose app is deep', `{"app":${deep(30_000)}}`, 'PEER_MALFORMED_FRAME'],
  ['a HELLO whose will is deep', `{"app":"test","will":${deepObject(10_000)}}`, 'PEER_MALFORMED_FRAME'],
  ['a HELLO that is not closed', `{"app":${'['.repeat(60_000)}`, 'PEER_MALFORMED_FRAME'],
] as const) {
  test(`${title} is answered: ${code}`, async (t) => {
    const work = await atWork(t);
    const raw = await RawNative.open(
      work.address as NetConnectOpts,
      frame({ type: FrameType.HELLO, id: PROTOCOL_MAGIC, channel: 1, value: 1, payload: Buffer.from(payload) }),
    );
    if (code === 'welcome') await raw.next(FrameType.WELCOME);
    else assert.equal(await raw.goodbye(), code);
    raw.close();
    await alive(work);
  });
}

for (const [title, payload] of [
  ['the members', (field: string) => `{"${field}":${deep(DEPTH)}}`],
  ['depth alone', () => deep(DEPTH)],
  ['depth that is not closed', (field: string) => `{"${field}":${'['.repeat(2 * DEPTH)}`],
] as const) {
  test(`SUBSCRIBE and SERVE: ${title} ${DEPTH} deep end that connection with a code`, async (t) => {
    const work = await atWork(t);
    for (const [type, field] of [
      [FrameType.SUBSCRIBE, 'pattern'],
      [FrameType.SERVE, 'channel'],
    ] as const) {
      const raw = await RawNative.join(work, frame({ type, id: 1, payload: Buffer.from(payload(field)) }));
      assert.equal(await raw.goodbye(), 'PEER_MALFORMED_FRAME');
      raw.close();
    }
    await alive(work);
  });
}

test('an ERROR with details of any depth reaches the caller with its code; what cannot be passed on is left out', async (t) => {
  const work = await atWork(t);
  const worker = await RawNative.join(
    work,
    frame({ type: FrameType.SERVE, id: 1, payload: json({ channel: 'work' }) }),
    declare(1, 'work'),
  );
  await worker.next(FrameType.OK);
  const caller = await work.client();
  for (const details of [deep(DEPTH), deepObject(20_000), `{"x":${deep(DEPTH)}}`]) {
    const answer = assert.rejects(caller.call('work', 1), withCode('REMOTE_REFUSED'));
    const { id } = await worker.next(FrameType.REQUEST);
    const payload = Buffer.from(`{"code":"REMOTE_REFUSED","message":"no","details":${details}}`);
    worker.send(frame({ type: FrameType.ERROR, id, payload }));
    await answer;
  }
  worker.close();
});

/** Numbers from a seed: the same conversation each time. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A value that somebody might take for what he expects. */
function anyValue(random: (below: number) => number, depth: number): unknown {
  const simple = [
    null,
    true,
    0,
    -1,
    1.5,
    2 ** 53,
    1e308,
    '',
    'a',
    'a.*',
    'a.>',
    '>',
    '$presence',
    '\u0000',
    '__proto__',
  ];
  const kind = random(depth > 3 ? simple.length : simple.length + 4);
  if (kind < simple.length) return simple[kind];
  const size = random(4);
  if (kind % 2 === 0) return Array.from({ length: size }, () => anyValue(random, depth + 1));
  return anyFields(random, depth + 1);
}

const MEMBERS = ['pattern', 'policy', 'outboxBytesMax', 'retained', 'channel', 'maxInFlight', 'code', 'message'];
const MORE_MEMBERS = ['details', 'app', 'token', 'name', 'will', 'payload', 'content', '__proto__', 'constructor'];

function anyFields(random: (below: number) => number, depth: number): Record<string, unknown> {
  const names = [...MEMBERS, ...MORE_MEMBERS];
  const fields: Record<string, unknown> = {};
  for (let i = random(5); i >= 0; i -= 1) {
    const name = names[random(names.length)] as string;
    Object.defineProperty(fields, name, { value: anyValue(random, depth), enumerable: true, configurable: true });
  }
  return fields;
}

const CONTROL = [
  ...[FrameType.SUBSCRIBE, FrameType.UNSUBSCRIBE, FrameType.SERVE, FrameType.UNSERVE, FrameType.ERROR, FrameType.OK],
  ...[FrameType.CREDIT, FrameType.CANCEL, FrameType.ACK, FrameType.DECLARE, FrameType.GOODBYE, FrameType.PONG],
  ...[FrameType.FRAGMENT, FrameType.HELLO, FrameType.WELCOME, FrameType.RESUME, FrameType.LOST, FrameType.PING],
];

function anyFrame(random: (below: number) => number): Buffer {
  const numbers = [0, 1, 2, 3, 7, 255, 65_536, 0x7fffffff, 0xffffffff];
  const number = (): number => numbers[random(numbers.length)] as number;
  const bytes = (): Buffer => Buffer.from(Array.from({ length: random(40) }, () => random(256)));
  const text = (): Buffer => json(random(3) === 0 ? anyValue(random, 0) : anyFields(random, 0));
  return frame({
    type: CONTROL[random(CONTROL.length)] as number,
    id: number(),
    channel: number(),
    value: number(),
    content: random(256),
    flags: random(4) === 0 ? random(256) & 0xfe : 0,
    payload: random(4) === 0 ? bytes() : text(),
  });
}

async function fuzz(t: TestContext, seed: number): Promise<void> {
  const random = chance(seed);
  const work = await atWork(t);
  const faults: string[] = [];
  work.server.on('fault', (error) => faults.push(error.message));
  for (let round = 0; round < 150; round += 1) {
    const raw = await RawNative.join(work, ...Array.from({ length: 1 + random(8) }, () => anyFrame(random)));
    // Either it is closed before, or everything was looked at.
    raw.send(frame({ type: FrameType.PING, id: 4_000_000 }), frame({ type: FrameType.GOODBYE, value: 4000 }));
    const code = await raw.goodbye();
    assert.ok(
      Object.hasOwn(CLOSE_CODES, code) && code !== 'SYSTEM_UNEXPECTED',
      `seed ${seed}, round ${round}: ${code}`,
    );
    for (const { type, payload } of raw.frames) {
      if (type !== FrameType.ERROR) continue;
      const said = (JSON.parse(Buffer.from(payload).toString()) as { code: string }).code;
      assert.ok(
        Object.hasOwn(ERROR_CODES, said) && said !== 'SYSTEM_UNEXPECTED',
        `seed ${seed}, round ${round}: ${said}`,
      );
    }
    raw.close();
  }
  assert.equal(({} as Record<string, unknown>)['pattern'], undefined);
  assert.deepEqual(faults, []);
  await alive(work);
}

test('control frames at random are answered with documented codes', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  await fuzz(t, seed);
});
