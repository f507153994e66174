// The exchange on a lane, with one end of ours and the other played by the test.

import assert from 'node:assert/strict';
import { type Server, type Socket, createConnection, createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { cancelFrame, doneFrame, type Frame, FrameDecoder, goodbyeFrame, helloFrame, messageHead } from './frames.ts';
import { Inbox } from './inbox.ts';
import { LaneServer } from './lane-server.ts';
import { LaneStream } from './lane-stream.ts';
import { SenderRecords } from './sender-record.ts';

const SENDER = '00112233445566778899aabbccddeeff';
const INSTANCE = 'ffeeddccbbaa99887766554433221100';

/** Two ends of a stream. */
async function pair(t: TestContext): Promise<[Socket, Socket]> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-lane-'));
  const server: Server = createServer();
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\${folder}` : join(folder, 's');
  server.listen(path);
  await once(server, 'listening');
  const far = createConnection(path);
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = await accepted;
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
    rmSync(folder, { recursive: true });
  });
  return [near, far];
}

/** A lane of the listener, and what the sender's end of it receives. */
async function lane(t: TestContext, inbox: Inbox, senders = new SenderRecords(100)) {
  const [near, far] = await pair(t);
  const served: LaneServer[] = [];
  const gone = new Promise<void>((resolve) => {
    const host = {
      inbox,
      instance: INSTANCE,
      maxMessageBytes: 1_000,
      senders,
      refusal: () => undefined,
      gone: () => resolve(),
      isAlone: () => true,
    };
    served.push(new LaneServer(host, new LaneStream(near, near)));
  });
  const frames: Frame[] = [];
  const waiting: (() => void)[] = [];
  const decoder = new FrameDecoder(1_000, (frame) => frames.push(frame));
  far.on('data', (chunk: Buffer) => {
    decoder.push(chunk);
    for (const wake of waiting.splice(0)) wake();
  });
  const received = async (count: number): Promise<Frame[]> => {
    while (frames.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    return frames;
  };
  return { far, gone, received };
}

function inboxOf(handle: (message: string | Buffer) => unknown): Inbox {
  return new Inbox({
    handle,
    format: 'text',
    concurrency: 1,
    maxMessages: 0,
    dieCode: undefined,
    rememberedIds: 100,
    onActivity: () => {},
    onResult: () => {},
    onStop: () => {},
  });
}

const message = (seq: number, text: string): Buffer =>
  Buffer.concat([messageHead(seq, true, '', Buffer.byteLength(text)), Buffer.from(text)]);

test('a retry on a new lane, with the same sender and sequence, is acknowledged and not processed again', async (t) => {
  const got: string[] = [];
  const inbox = inboxOf((text) => void got.push(text.toString()));
  const senders = new SenderRecords(100);
  for (const expected of [[1], [1]]) {
    const { far, received } = await lane(t, inbox, senders);
    far.write(Buffer.concat([helloFrame(SENDER), message(1, 'once')]));
    const [welcome, done] = await received(2);
    assert.deepEqual(welcome, { type: 'welcome', version: 1, instance: INSTANCE, maxMessageBytes: 1_000 });
    assert.deepEqual(done, { type: 'done', seqs: expected });
    far.destroy();
  }
  assert.deepEqual(got, ['once']);
});

test('what waits when its sender comes back on a new lane is processed once and answered there; the old lane ends', async (t) => {
  const got: string[] = [];
  let finish = (): void => {};
  const inbox = inboxOf((text) => {
    got.push(text.toString());
    return new Promise<void>((resolve) => (finish = resolve));
  });
  const senders = new SenderRecords(100);
  const before = await lane(t, inbox, senders);
  before.far.write(Buffer.concat([helloFrame(SENDER), message(1, 'once'), message(2, 'too large'.repeat(200))]));
  assert.equal((await before.received(2))[1]?.type, 'failed');
  const after = await lane(t, inbox, senders);
  after.far.write(Buffer.concat([helloFrame(SENDER), message(1, 'once')]));
  await after.received(1);
  await before.gone;
  finish();
  assert.deepEqual((await after.received(2))[1], { type: 'done', seqs: [1] });
  assert.deepEqual(got, ['once']);
});

test('acknowledgements of one turn travel in one frame', async (t) => {
  const { far, received } = await lane(
    t,
    inboxOf(() => undefined),
  );
  far.write(Buffer.concat([helloFrame(SENDER), message(1, 'a'), message(2, 'b'), message(3, 'c')]));
  assert.deepEqual((await received(2))[1], { type: 'done', seqs: [1, 2, 3] });
});

test('a message that ends with its sender is not processed', async (t) => {
  const got: string[] = [];
  const { far, gone, received } = await lane(
    t,
    inboxOf((text) => void got.push(text.toString())),
  );
  far.write(Buffer.concat([helloFrame(SENDER), message(1, 'whole'), message(2, 'half').subarray(0, -1)]));
  await received(2);
  far.destroy();
  await gone;
  assert.deepEqual(got, ['whole']);
});

test('a cancelled message that waits is dropped, and a cancel of nothing does nothing', async (t) => {
  const got: string[] = [];
  let finish = (): void => {};
  const { far, received } = await lane(
    t,
    inboxOf((text) => {
      got.push(text.toString());
      return text === 'a' ? new Promise<void>((resolve) => (finish = resolve)) : undefined;
    }),
  );
  const oversize = messageHead(9, true, '', 5_000);
  far.write(Buffer.concat([helloFrame(SENDER), message(1, 'a'), message(2, 'b'), cancelFrame(2), cancelFrame(7)]));
  // Answered at once, so everything before it has been read.
  far.write(Buffer.concat([oversize, Buffer.alloc(5_000), message(3, 'c')]));
  assert.equal((await received(2))[1]?.type, 'failed');
  finish();
  const answers = (await received(3)).slice(2).flatMap((frame) => (frame.type === 'done' ? frame.seqs : []));
  if (answers.length < 2) await received(4);
  assert.deepEqual(got, ['a', 'c']);
});

test('a sender that does not speak the protocol is cut off', async (t) => {
  const bad = [
    message(1, 'before the hello'),
    doneFrame([1]),
    goodbyeFrame('REMOTE_CLOSED'),
    Buffer.from([0, 0, 0, 1, 99]),
    Buffer.concat([helloFrame(SENDER), helloFrame(SENDER), message(1, 'after a second hello')]),
  ];
  for (const bytes of bad) {
    const got: string[] = [];
    const { far, gone } = await lane(
      t,
      inboxOf((text) => void got.push(text.toString())),
    );
    far.write(bytes);
    await gone;
    assert.deepEqual(got, []);
  }
});
