// What `isthmus/pipe` promises of one message: how it arrives, in which order, and how its send ends.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IPCError } from '../../src/base/errors.ts';
import { Pipe, PipeError, PipeSender, send } from '../../src/pipe/index.ts';
import { pipeFolder } from './pipe-folder.ts';
import { gate, listening, withoutFifos as skip } from './pipe-listening.ts';

test('send resolves to true after the callback has finished, an async one too', { skip }, async (t) => {
  const steps: string[] = [];
  const { pipe } = await listening(t, {}, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    steps.push('processed');
  });
  assert.equal(await send(pipe, 'x'), true);
  steps.push('acknowledged');
  assert.deepEqual(steps, ['processed', 'acknowledged']);
});

test('a pipe is named by its Pipe, or by its name and directory', { skip }, async (t) => {
  const { pipe, got, folder } = await listening(t);
  await send(pipe, 'one');
  await send('p', 'two', { directory: folder });
  await send(join(folder, 'p'), 'three');
  assert.deepEqual(got, ['one', 'two', 'three']);
});

test('text arrives as it was: empty, Unicode, lone surrogates replaced, 16 MiB whole', { skip }, async (t) => {
  const { pipe, got } = await listening(t);
  const texts = ['', ' ', '日本語 🦊', 'a\nb\0c', 'x'.repeat(16 * 1024 * 1024)];
  for (const text of texts) await send(pipe, text);
  await send(pipe, '\ud800');
  assert.deepEqual(got, [...texts, '\ufffd']);
});

test('bytes arrive as they were where the listener takes bytes, and are refused by one that takes text', {
  skip,
}, async (t) => {
  const { pipe, folder, got } = await listening(t);
  const bytes = new Uint8Array([0, 255, 128, 10]);
  await assert.rejects(send(pipe, bytes), { code: 'USAGE_INVALID_PAYLOAD' });
  await send(pipe, Buffer.from('text as bytes'));
  assert.deepEqual(got, ['text as bytes']);

  const received: unknown[] = [];
  await using raw = new Pipe('raw', (message) => void received.push(message), { directory: folder, format: 'bytes' });
  await raw.listen();
  await send(raw, bytes);
  await send(raw, 'text');
  assert.deepEqual(received, [Buffer.from(bytes), Buffer.from('text')]);

  const mixed: unknown[] = [];
  await using either = new Pipe('either', (message) => void mixed.push(message), {
    directory: folder,
    format: 'either',
  });
  await either.listen();
  await send(either, bytes);
  await send(either, 'text');
  assert.deepEqual(mixed, [Buffer.from(bytes), 'text']);
});

test('the messages of one sender are processed in the order of sending, one at a time', { skip }, async (t) => {
  let running = 0;
  let most = 0;
  const { folder, got } = await listening(t, {}, async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  });
  await using sender = new PipeSender('p', { directory: folder });
  const texts = Array.from({ length: 200 }, (_, n) => `m${n}`);
  await Promise.all(texts.map((text) => sender.send(text)));
  assert.deepEqual(got, texts);
  assert.equal(most, 1);
});

test('concurrency is the number of messages processed at a time', { skip }, async (t) => {
  let running = 0;
  let most = 0;
  const three = gate();
  const { folder } = await listening(t, { concurrency: 3 }, async () => {
    most = Math.max(most, ++running);
    if (running === 3) three.open();
    await three.opened;
    running -= 1;
  });
  await using sender = new PipeSender('p', { directory: folder });
  await Promise.all(Array.from({ length: 10 }, (_, n) => sender.send(`${n}`)));
  assert.equal(most, 3);
});

test('the exception of a callback reaches its sender, and nobody else', { skip }, async (t) => {
  const { pipe } = await listening(t, {}, (text) => {
    if (text === 'bad') throw new Error('no room for it');
  });
  const [first, bad, last] = await Promise.allSettled([send(pipe, 'one'), send(pipe, 'bad'), send(pipe, 'two')]);
  assert.deepEqual([first.status, last.status], ['fulfilled', 'fulfilled']);
  assert.ok(bad.status === 'rejected' && bad.reason instanceof PipeError);
  assert.equal(bad.reason.code, 'REMOTE_HANDLER_FAILED');
  assert.equal(bad.reason.message, 'no room for it');
  assert.equal(bad.reason.context['pipe'], 'p');
});

test('a name nobody listens on fails at once and leaves no file', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  await assert.rejects(send('nobody', 'x', { directory: folder }), {
    code: 'NETWORK_CONNECT_FAILED',
    errorCode: 'CONNECTION_FAILED',
  });
  assert.deepEqual(readdirSync(folder), []);
});

test('maxAttempts 0 waits up to timeout for a listener, and no longer', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  await assert.rejects(send('late', 'x', { directory: folder, maxAttempts: 0, timeout: 60 }), { errorCode: 'TIMEOUT' });
  const sent = send('late', 'y', { directory: folder, maxAttempts: 0 });
  const got: string[] = [];
  await using pipe = new Pipe('late', (text) => void got.push(text), { directory: folder });
  await pipe.listen();
  assert.equal(await sent, true);
  assert.deepEqual(got, ['y']);
});

test('maxAttempts bounds the waiting for a listener also without a timeout', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  await assert.rejects(send('nobody', 'x', { directory: folder, maxAttempts: 3, timeout: 0 }), {
    code: 'NETWORK_CONNECT_FAILED',
  });
});

test('a send ends with its time-out; a message that was not begun is not processed', { skip }, async (t) => {
  const hold = gate();
  const { pipe, got } = await listening(t, {}, (text) => (text === 'holds' ? hold.opened : undefined));
  await send(pipe, 'known', { id: 'known' });
  const first = send(pipe, 'holds');
  await assert.rejects(send(pipe, 'waits', { timeout: 30 }), { code: 'TIME_OUT', errorCode: 'TIMEOUT' });
  // Answered although a message is being processed; what was written before it has been read then.
  await send(pipe, 'known', { id: 'known' });
  hold.open();
  await first;
  await send(pipe, 'last');
  assert.deepEqual(got, ['known', 'holds', 'last']);
});

test('an AbortSignal ends a send, before and while it waits', { skip }, async (t) => {
  const hold = gate();
  const { pipe, got } = await listening(t, {}, (text) => (text === 'holds' ? hold.opened : undefined));
  await send(pipe, 'known', { id: 'known' });
  await assert.rejects(send(pipe, 'never', { signal: AbortSignal.abort() }), { code: 'TIME_CANCELLED' });
  const controller = new AbortController();
  const first = send(pipe, 'holds');
  const second = send(pipe, 'waits', { signal: controller.signal });
  controller.abort();
  await assert.rejects(second, { name: 'AbortError', code: 'TIME_CANCELLED' });
  await send(pipe, 'known', { id: 'known' });
  hold.open();
  await first;
  await send(pipe, 'last');
  assert.deepEqual(got, ['known', 'holds', 'last']);
});

test('a pipe without a callback is read by for await; a message is acknowledged when the next is asked for', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const pipe = new Pipe('p', undefined, { directory: folder, maxMessages: 3 });
  const events: string[] = [];
  const reading = (async () => {
    for await (const text of pipe) {
      events.push(`begin ${text}`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`end ${text}`);
    }
  })();
  for (const text of ['a', 'b', 'c']) {
    await send('p', text, { directory: folder, maxAttempts: 0 });
    events.push(`acknowledged ${text}`);
  }
  await reading;
  assert.deepEqual(
    events.filter((event) => !event.startsWith('begin')),
    ['a', 'b', 'c'].flatMap((text) => [`end ${text}`, `acknowledged ${text}`]),
  );
});

test('a loop that is left in the middle of a message answers it with an error and closes the pipe', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const pipe = new Pipe('p', undefined, { directory: folder });
  const sent = send('p', 'x', { directory: folder, maxAttempts: 0 });
  const failed = assert.rejects(sent, { code: 'REMOTE_HANDLER_FAILED' });
  for await (const text of pipe) {
    assert.equal(text, 'x');
    break;
  }
  await failed;
  assert.equal(await pipe.closed, 'closed');
});

test('what the callback returns is sent to the response pipe after the acknowledgement, nothing for undefined', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const got: string[] = [];
  await using answers = new Pipe('answers', (text) => void got.push(text), { directory: folder });
  await answers.listen();
  await using pipe = new Pipe('p', (text) => (text === 'none' ? undefined : `re: ${text}`), {
    directory: folder,
    responsePipeName: 'answers',
  });
  await pipe.listen();
  for (const text of ['a', 'none', 'b']) await send(pipe, text);
  await pipe.close();
  assert.deepEqual(got, ['re: a', 're: b']);
});

test('a response that cannot be delivered goes to onError; its message stays acknowledged', { skip }, async (t) => {
  const errors: Error[] = [];
  const { pipe } = await listening(
    t,
    { responsePipeName: 'nobody', onError: (error) => errors.push(error) },
    () => 'answer',
  );
  assert.equal(await send(pipe, 'x'), true);
  await pipe.close();
  assert.equal(errors.length, 1);
  assert.ok(errors[0] instanceof PipeError && errors[0].cause instanceof PipeError);
});

test('an id is processed once: sent again, at the same time or later, it is only acknowledged', { skip }, async (t) => {
  const { pipe, got, folder } = await listening(t, {}, () => new Promise((resolve) => setImmediate(resolve)));
  const senders = Array.from({ length: 3 }, () => new PipeSender('p', { directory: folder }));
  await Promise.all(senders.map((sender) => sender.send('x', { id: 'order-1' })));
  assert.equal(await send(pipe, 'x', { id: 'order-1' }), true);
  assert.deepEqual(got, ['x']);
  await Promise.all(senders.map((sender) => sender.close()));
});

test('an id that failed may be tried again', { skip }, async (t) => {
  let fails = true;
  const { pipe, got } = await listening(t, {}, () => {
    if (fails) throw new Error('not now');
  });
  await assert.rejects(send(pipe, 'x', { id: 'a' }), { code: 'REMOTE_HANDLER_FAILED' });
  fails = false;
  assert.equal(await send(pipe, 'x', { id: 'a' }), true);
  assert.deepEqual(got, ['x', 'x']);
});

test('a message over the limit is refused by its sender or by the listener; the lane goes on', { skip }, async (t) => {
  const { pipe, got, folder } = await listening(t, { maxMessageBytes: 1_000 });
  await using sender = new PipeSender('p', { directory: folder });
  await assert.rejects(sender.send('x'.repeat(1_001)), { code: 'LIMIT_MESSAGE_BYTES' });
  await sender.send('y'.repeat(1_000));
  assert.equal(got.length, 1);
  assert.equal(pipe.messageCount, 1);
});

test('options are checked at the door, by name', { skip }, async () => {
  for (const options of [
    { timeout: -1 },
    { maxMessages: 1.5 },
    { concurrency: 0 },
    { mode: 0o1000 },
    { dieCode: '' },
  ]) {
    const [name = ''] = Object.keys(options);
    const named = (error: unknown): boolean => error instanceof IPCError && error.details['option'] === name;
    assert.throws(() => new Pipe('p', () => {}, options), named, name);
  }
  await assert.rejects(send('p', 'x', { timeout: 0.5 }), { code: 'USAGE_INVALID_OPTION' });
  await assert.rejects(send('p', 'x', { id: 'x'.repeat(256) }), { code: 'USAGE_INVALID_OPTION' });
});
