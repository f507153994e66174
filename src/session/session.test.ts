// Only documented errors come out of a session, whatever bytes go in, and each frame only where it is legal.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { IPCError } from '../base/errors.ts';
import { encodeFrame, type Frame } from '../protocol/codec.ts';
import { FIRST_FRAME_TYPE, FrameFlag, FrameType, frameTypeName, LAST_FRAME_TYPE } from '../protocol/frame-types.ts';
import { DEFAULT_LIMITS, FRAGMENT_BYTES, HANDSHAKE_BYTES_MAX } from '../protocol/limits.ts';
import { FrameWriter } from './frame-writer.ts';
import { Session } from './session.ts';
import { SlabPool } from './slab-pool.ts';
import { LEGAL_FRAMES, type SessionRole, type SessionState } from './states.ts';

const encoder = new TextEncoder();

function session(role: SessionRole = 'server', state: SessionState = 'open', heartbeatIntervalMs = 0): Session {
  const made = new Session({ role, limits: DEFAULT_LIMITS, heartbeatIntervalMs }, new FrameWriter(new SlabPool()));
  if (state === 'open' || state === 'closing') made.become('open');
  if (state === 'closing') made.become('closing');
  if (state === 'closed') made.become('closed');
  return made;
}

function framed(fields: Parameters<typeof encodeFrame>[0]): Uint8Array {
  const body = encodeFrame(fields);
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

function receive(into: Session, ...chunks: Uint8Array[]): Frame[] {
  const frames: Frame[] = [];
  for (const chunk of chunks) take(into, chunk, frames);
  return frames;
}

function take(into: Session, chunk: Uint8Array, out: Frame[]): void {
  into.push(chunk, 0);
  for (let frame = into.next(); frame !== undefined; frame = into.next()) out.push(frame);
}

const withCode = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

test('each frame type is taken exactly where the table of states has it', () => {
  for (const role of ['client', 'server'] as const) {
    for (const state of ['opening', 'open', 'closing', 'closed'] as const) {
      for (let type: number = FIRST_FRAME_TYPE; type <= LAST_FRAME_TYPE; type += 1) {
        const bytes = framed({ type, id: 1, channel: 1, value: 16, payload: encoder.encode('name') });
        const legal = LEGAL_FRAMES[role][state].includes(type);
        const run = () => receive(session(role, state), bytes);
        // A piece needs a beginning; that it is legal shows in another error.
        if (type === FrameType.FRAGMENT && legal) assert.throws(run, withCode('PEER_MALFORMED_FRAME'));
        else if (legal) run();
        else assert.throws(run, withCode('PEER_UNEXPECTED_FRAME'), `${frameTypeName(type)} at a ${role}, ${state}`);
      }
    }
  }
});

test('the table of states in docs/protocol.md is the one in the code', () => {
  const text = readFileSync('docs/protocol.md', 'utf8');
  const row = (state: string): string[] => {
    const line = text.split('\n').find((one) => one.startsWith(`| ${state}`));
    assert.ok(line !== undefined, `no row for ${state}`);
    return line.split('|').slice(2, 4);
  };
  for (const [state, label] of [
    ['opening', 'opening |'],
    ['open', 'open, closing |'],
  ] as const) {
    const [client, server] = row(label);
    for (const [role, cell] of [
      ['client', client],
      ['server', server],
    ] as const) {
      const documented = new Set((cell as string).trim().split(' '));
      assert.deepEqual(documented, new Set(LEGAL_FRAMES[role][state].map(frameTypeName)), `${role}, ${state}`);
    }
  }
});

test('random bytes give documented errors only, and frames that were whole before them arrive', () => {
  const good = framed({ type: FrameType.NOTIFICATION, channel: 1 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (garbage, step) => {
      const target = session();
      const frames: Frame[] = [];
      const bytes = Buffer.concat([good, garbage]);
      try {
        for (let at = 0; at < bytes.length; at += step) take(target, bytes.subarray(at, at + step), frames);
      } catch (thrown) {
        assert.ok(thrown instanceof IPCError, String(thrown));
        assert.match(thrown.code, /^(PEER|LIMIT)_/);
      }
      assert.equal(frames[0]?.type, FrameType.NOTIFICATION);
    }),
  );
});

test('a mutated frame gives documented errors only', () => {
  const original = framed({
    type: FrameType.REQUEST,
    id: 1,
    channel: 1,
    extensions: new Map([[5, encoder.encode('id')]]),
    payload: encoder.encode('payload'),
  });
  fc.assert(
    fc.property(fc.nat(original.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Uint8Array.from(original);
      bytes[at] = byte;
      try {
        receive(session(), bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof IPCError, String(thrown));
      }
    }),
  );
});

test('before the handshake a body of more than 64 KiB is refused at its length', () => {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, HANDSHAKE_BYTES_MAX + 1);
  const target = session('server', 'opening');
  assert.throws(() => receive(target, length), withCode('LIMIT_MESSAGE_BYTES'));
  assert.equal(target.heldBytes, 0);
});

test('what follows the handshake in the same chunk is judged when it is taken, after the owner has answered', () => {
  const target = session('server', 'opening');
  target.push(
    Buffer.concat([framed({ type: FrameType.HELLO }), framed({ type: FrameType.NOTIFICATION, channel: 1 })]),
    0,
  );
  assert.equal(target.next()?.type, FrameType.HELLO);
  target.become('open');
  assert.equal(target.next()?.type, FrameType.NOTIFICATION);
  assert.equal(target.next(), undefined);
});

test('a ping is answered with its own number', () => {
  const target = session();
  receive(target, framed({ type: FrameType.PING, id: 77 }));
  const batch = target.writer.take(1000);
  assert.ok(batch !== undefined);
  const [pong] = receive(session('client'), ...batch.parts);
  assert.deepEqual([pong?.type, pong?.id], [FrameType.PONG, 77]);
});

test('a channel number is known once it was declared, and not after numbers were forgotten', () => {
  const target = session();
  const declare = (channel: number, name: string) =>
    framed({ type: FrameType.DECLARE, channel, payload: encoder.encode(name) });
  assert.throws(() => target.peerName(3), withCode('PEER_UNEXPECTED_FRAME'));
  receive(target, declare(3, 'orders'), declare(3, 'orders'));
  assert.equal(target.peerName(3), 'orders');
  assert.throws(() => receive(target, declare(3, 'other')), withCode('PEER_UNEXPECTED_FRAME'));
  receive(target, framed({ type: FrameType.DECLARE }));
  assert.throws(() => target.peerName(3), withCode('PEER_UNEXPECTED_FRAME'));
});

test('no more names than the limit are kept for a peer', () => {
  const limits = { ...DEFAULT_LIMITS, declaredChannelsMax: 2 };
  const target = new Session({ role: 'server', limits, heartbeatIntervalMs: 0 }, new FrameWriter(new SlabPool()));
  target.become('open');
  const declare = (channel: number) =>
    framed({ type: FrameType.DECLARE, channel, payload: encoder.encode(`c${channel}`) });
  receive(target, declare(1), declare(2));
  assert.throws(() => receive(target, declare(3)), withCode('LIMIT_CHANNELS'));
});

test('a silent peer is pinged twice and then taken for dead; a word from it begins anew', () => {
  const target = session('server', 'open', 100);
  assert.equal(target.tick(99), 'nothing');
  assert.equal(target.tick(100), 'pinged');
  assert.equal(target.tick(150), 'nothing');
  assert.equal(target.tick(200), 'pinged');
  target.push(framed({ type: FrameType.PONG, id: 2 }), 250);
  assert.equal(target.tick(300), 'nothing');
  assert.equal(target.tick(350), 'pinged');
  assert.equal(target.tick(450), 'pinged');
  assert.equal(target.tick(550), 'dead');
});

function piece(id: number, total: number, bytes: number, flags: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  payload[0] = FrameType.NOTIFICATION;
  return framed({ type: FrameType.FRAGMENT, id, value: total, flags, payload });
}

test('pieces: all but the last of a body are received into the same memory, which is not kept behind it', () => {
  const allocated: number[] = [];
  const allocate = (bytes: number) => {
    allocated.push(bytes);
    return new Uint8Array(bytes);
  };
  const options = { role: 'server', limits: DEFAULT_LIMITS, heartbeatIntervalMs: 0, allocate } as const;
  const target = new Session(options, new FrameWriter(new SlabPool()));
  target.become('open');
  const sender = new FrameWriter(new SlabPool());
  const payload = Uint8Array.from({ length: 4 * FRAGMENT_BYTES }, (_, i) => (i * 31) % 251);
  sender.frame(FrameType.NOTIFICATION, 0, 1, 0, 1, 0, payload);
  const bytes = Buffer.concat(sender.take(Number.POSITIVE_INFINITY)?.parts ?? []);
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += 60_000) take(target, bytes.subarray(at, at + 60_000), frames);
  assert.deepEqual(
    frames.map((frame) => payload.every((byte, i) => byte === frame.payload[i]) && frame.payloadBytes),
    [payload.length],
  );
  assert.deepEqual(
    allocated.filter((one) => one === FRAGMENT_BYTES),
    [FRAGMENT_BYTES],
  );
  assert.equal(target.heldBytes, 0);
});

for (const [title, chunks, code] of [
  ['a piece that was never begun', [piece(1, 100, 10, 0)], 'PEER_MALFORMED_FRAME'],
  ['more bytes than announced', [piece(1, 20, 30, FrameFlag.FIRST)], 'PEER_MALFORMED_FRAME'],
  ['fewer bytes than announced', [piece(1, 50, 30, FrameFlag.FIRST | FrameFlag.LAST)], 'PEER_MALFORMED_FRAME'],
  [
    'a body begun twice',
    [piece(1, 50, 20, FrameFlag.FIRST), piece(1, 50, 20, FrameFlag.FIRST)],
    'PEER_MALFORMED_FRAME',
  ],
  ['a body shorter than a header', [piece(1, 15, 1, FrameFlag.FIRST)], 'PEER_MALFORMED_FRAME'],
  [
    'more bodies at a time than allowed',
    Array.from({ length: DEFAULT_LIMITS.partialMessagesMax + 1 }, (_, i) => piece(i + 1, 100, 20, FrameFlag.FIRST)),
    'LIMIT_MESSAGE_BYTES',
  ],
  ['a body larger than a message may be', [piece(1, 0xffffffff, 20, FrameFlag.FIRST)], 'LIMIT_MESSAGE_BYTES'],
] as const) {
  test(`pieces: ${title} is refused`, () => {
    assert.throws(() => receive(session(), ...chunks), withCode(code));
  });
}
