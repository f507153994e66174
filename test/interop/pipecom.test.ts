// The real PipeCom in both directions.

import assert from 'node:assert/strict';
import { existsSync, linkSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadBinding } from '../../src/native/binding.ts';
import { Pipe, PipeError, PipeSender, send } from '../../src/pipe/index.ts';
import { type PipeFolder, pipeFolder } from '../integration/pipe-folder.ts';
import { gate } from '../integration/pipe-listening.ts';
import { PythonListener, PythonSender, withoutPipeCom } from './pipecom-peer.ts';

const skip = withoutPipeCom;
const TEXTS = [
  'plain',
  'häßlich 日本語 🦊 \u0000 \n line',
  ' ',
  'x'.repeat(6_000),
  'é'.repeat(100_000),
  'long '.repeat(400_000),
];

/** A listener of PipeCom. Killed when the test ends, with the FIFOs that it leaves. */
async function pythonListener(t: TestContext, options: Record<string, unknown> = {}) {
  const { folder, defer } = pipeFolder(t);
  const listener = new PythonListener(folder, 'old', options);
  defer(async () => {
    await listener.kill();
    for (const file of ['old', 'old_ack']) if (existsSync(join(folder, file))) unlinkSync(join(folder, file));
  });
  await listener.ready();
  return { folder, listener };
}

/** A sender of PipeCom. */
function pythonSender({ folder, defer }: PipeFolder): PythonSender {
  const sender = new PythonSender(folder);
  defer(() => sender.end());
  return sender;
}

test('our sender reaches a listener of PipeCom: text of every kind arrives whole', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  for (const text of TEXTS) assert.equal(await send('old', text, { directory: folder }), true);
  assert.deepEqual(listener.messages, TEXTS);
});

test('a message that PipeCom could not acknowledge is refused before it is sent', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  for (const message of ['', Buffer.from([0xff, 0xfe])]) {
    await assert.rejects(send('old', message, { directory: folder }), {
      name: 'PipeError',
      code: 'USAGE_INVALID_PAYLOAD',
    });
  }
  assert.equal(await send('old', 'after', { directory: folder }), true);
  assert.deepEqual(listener.messages, ['after']);
});

test('four concurrent senders of ours: a listener of PipeCom gets every message once', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  const senders = Array.from({ length: 4 }, () => new PipeSender('old', { directory: folder }));
  const sent: string[] = [];
  await Promise.all(
    senders.map(async (sender, who) => {
      for (let n = 0; n < 25; n++) {
        sent.push(`${who}-${n}`);
        assert.equal(await sender.send(`${who}-${n}`), true);
      }
      await sender.close();
    }),
  );
  assert.deepEqual([...listener.messages].sort(), sent.sort());
});

test('the die code of our sender ends a listener of PipeCom, and is acknowledged', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  assert.equal(await send('old', 'one', { directory: folder }), true);
  assert.equal(await send('old', 'PIPECOM_DIE', { directory: folder }), true);
  assert.deepEqual(listener.messages, ['one']);
});

test('a callback of PipeCom that throws never answers: a send that gives up ends, and the next gets its own answer', {
  skip,
}, async (t) => {
  const { folder, listener } = await pythonListener(t, { fails_on: 'bad' });
  const controller = new AbortController();
  const bad = assert.rejects(send('old', 'bad', { directory: folder, timeout: 0, signal: controller.signal }), {
    code: 'TIME_CANCELLED',
  });
  await listener.until(() => listener.messages.includes('bad'));
  controller.abort();
  await bad;
  assert.equal(await send('old', 'good', { directory: folder }), true);
  // One that gives up by its time-out does the same, wherever its message was by then.
  await assert.rejects(send('old', 'bad', { directory: folder, timeout: 200 }), { errorCode: 'TIMEOUT' });
  assert.equal(await send('old', 'better', { directory: folder }), true);
  assert.deepEqual(
    listener.messages.filter((text) => text !== 'bad'),
    ['good', 'better'],
  );
});

test('a sender of ours that was killed while it replaced the FIFO leaves a listener that the next one finds', {
  skip,
}, async (t) => {
  const { folder, listener } = await pythonListener(t);
  await send('old', 'before', { directory: folder });
  // What the killed one leaves: the FIFO in which the listener waits has lost its name to a new one.
  const data = join(folder, 'old');
  const lane = `${data}_${'0'.repeat(32)}`;
  linkSync(data, `${lane}_down`);
  assert.equal(loadBinding().pipe.mkfifo(`${lane}_up`, 0o600), 0);
  renameSync(`${lane}_up`, data);
  writeFileSync(`${data}_lock`, '!');
  assert.equal(await send('old', 'after', { directory: folder }), true);
  assert.deepEqual(listener.messages, ['before', 'after']);
});

test('the responses of a listener of PipeCom reach our listener', { skip }, async (t) => {
  const { folder } = await pythonListener(t, { echo: true, response_pipe_name: 'answers' });
  const got: string[] = [];
  await using answers = new Pipe('answers', (text) => void got.push(text), { directory: folder, maxMessages: 2 });
  await answers.listen();
  await send('old', 'one', { directory: folder });
  await send('old', 'two', { directory: folder });
  assert.equal(await answers.closed, 'max-messages');
  assert.deepEqual(got.sort(), ['re: one', 're: two']);
});

test('a sender of PipeCom reaches our listener: text of every kind, an empty one too', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  await using pipe = new Pipe('new', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  const sender = pythonSender({ folder, defer });
  const texts = [...TEXTS, '', 'y'.repeat(3_000_000)];
  for (const text of texts) assert.equal(await sender.send('new', text), true);
  assert.deepEqual(got, texts);
});

test('four hundred messages of one PipeCom sender are all acknowledged', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  await using pipe = new Pipe('new', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  const sender = pythonSender({ folder, defer });
  const texts = Array.from({ length: 400 }, (_, n) => `m${n}`);
  for (const text of texts) assert.equal(await sender.send('new', text), true);
  assert.deepEqual(got, texts);
});

test('four concurrent senders of PipeCom: our listener processes every message once and acknowledges it', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  await using pipe = new Pipe('new', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  const sent: string[] = [];
  await Promise.all(
    Array.from({ length: 4 }, async (_, who) => {
      const sender = pythonSender({ folder, defer });
      for (let n = 0; n < 25; n++) {
        sent.push(`${who}-${n}`);
        assert.equal(await sender.send('new', `${who}-${n}`), true);
      }
    }),
  );
  assert.deepEqual(got.sort(), sent.sort());
});

test('senders of ours and of PipeCom at once: every message is processed once', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  await using pipe = new Pipe('new', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  const old = pythonSender({ folder, defer });
  await using ours = new PipeSender('new', { directory: folder });
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  await Promise.all([
    ...numbers.map((n) => ours.send(`ours ${n}`)),
    (async () => {
      for (const n of numbers) assert.equal(await old.send('new', `old ${n}`), true);
    })(),
  ]);
  assert.deepEqual(got.sort(), numbers.flatMap((n) => [`ours ${n}`, `old ${n}`]).sort());
});

test('the exception of our callback reaches a sender of PipeCom as an error, at once', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const refuse = (): never => {
    throw new Error('no room');
  };
  await using pipe = new Pipe('new', refuse, { directory: folder });
  await pipe.listen();
  const result = await pythonSender({ folder, defer }).send('new', 'x');
  assert.ok(Array.isArray(result) && result[0] === 'UNKNOWN' && result[1].includes('no room'), JSON.stringify(result));
});

test('the die code of a PipeCom sender ends our listener; what comes later is told, not processed', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  const pipe = new Pipe('new', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  const sender = pythonSender({ folder, defer });
  assert.equal(await sender.send('new', 'one'), true);
  assert.equal(await sender.send('new', 'PIPECOM_DIE'), true);
  assert.equal(await pipe.closed, 'die-code');
  assert.deepEqual(got, ['one']);
  await assert.rejects(send('new', 'two', { directory: folder }), { errorCode: 'CONNECTION_FAILED' });
});

test('a PipeCom sender that comes after the last message is told at once; those before it are answered', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const senders = [0, 1, 2].map(() => pythonSender({ folder, defer }));
  const finish = gate();
  const pipe = new Pipe('new', () => finish.opened, { directory: folder, maxMessages: 2, concurrency: 2 });
  await pipe.listen();
  const results = senders.map((sender, n) => sender.send('new', `m${n}`));
  // The acknowledgement FIFO is one for all, so any of the three may read the refusal.
  const refused = await Promise.race(results);
  assert.ok(Array.isArray(refused) && refused[1].includes('has stopped'), JSON.stringify(refused));
  finish.open();
  assert.equal(await pipe.closed, 'max-messages');
  const outcomes = await Promise.all(results);
  assert.equal(outcomes.filter((outcome) => outcome === true).length, 2, JSON.stringify(outcomes));
});

test('the responses of our listener reach a listener of PipeCom', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  await using pipe = new Pipe('asks', (text) => `re: ${text}`, { directory: folder, responsePipeName: 'old' });
  await pipe.listen();
  for (const text of ['a', 'b', 'c']) await send(pipe, text);
  await listener.until(() => listener.messages.length === 3);
  assert.deepEqual(listener.messages, ['re: a', 're: b', 're: c']);
});

test('a second listener does not push in where one of PipeCom listens', { skip }, async (t) => {
  const { folder, listener } = await pythonListener(t);
  assert.equal(await send('old', 'here', { directory: folder }), true);
  const pipe = new Pipe('old', () => {}, { directory: folder });
  await assert.rejects(pipe.listen(), (error) => error instanceof PipeError && error.code === 'NETWORK_LISTEN_FAILED');
  assert.equal(await send('old', 'still here', { directory: folder }), true);
  assert.deepEqual(listener.messages, ['here', 'still here']);
});
