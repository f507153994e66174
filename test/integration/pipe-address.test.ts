// Named pipes where the system's own are connected to, as on Windows: the same rules over `node:net`. Elsewhere
// a Unix socket stands in for `\\.\pipe\NAME`; what only Windows does is not tried there.

import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Pipe, PipeSender, send } from '../../src/pipe/index.ts';
import { pipePlace } from '../../src/pipe/names.ts';
import { system } from '../../src/pipe/system.ts';
import { pipeFolder } from './pipe-folder.ts';
import { gate, withoutFifos as skip } from './pipe-listening.ts';
import { PipeProcess } from './pipe-process.ts';

/** Addresses in a folder of this test. */
function addresses(t: TestContext) {
  const { folder, defer } = pipeFolder(t);
  system.addressOf = (name) => join(folder, name);
  defer(() => {
    system.addressOf = undefined;
  });
  return { folder, defer };
}

test('a message is acknowledged when it was processed; 16 MiB, the empty text and bytes arrive whole', {
  skip,
}, async (t) => {
  const { defer } = addresses(t);
  const got: unknown[] = [];
  const pipe = new Pipe('p', (message) => void got.push(message), { format: 'either' });
  await pipe.listen();
  defer(() => pipe.close());
  const messages = ['one', '', 'häßlich 日本語 🦊', 'x'.repeat(16 * 1024 * 1024), Buffer.from([0, 255, 10])];
  for (const message of messages) assert.equal(await send(pipe, message), true);
  assert.deepEqual(got, messages);
});

test('many senders at once: every message is processed once, those of one sender in order', { skip }, async (t) => {
  const { defer } = addresses(t);
  const got: string[] = [];
  const pipe = new Pipe('p', (text) => void got.push(text));
  await pipe.listen();
  defer(() => pipe.close());
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  await Promise.all(
    numbers.slice(0, 8).map(async (who) => {
      await using sender = new PipeSender('p');
      await Promise.all(numbers.map((n) => sender.send(`${who} ${n}`)));
    }),
  );
  assert.equal(new Set(got).size, 8 * 50);
  const ofThird = got.filter((text) => text.startsWith('3 '));
  assert.deepEqual(
    ofThird,
    numbers.map((n) => `3 ${n}`),
  );
});

test('a name nobody listens on fails at once, or is waited for', { skip }, async (t) => {
  const { defer } = addresses(t);
  await assert.rejects(send('p', 'x'), { code: 'NETWORK_CONNECT_FAILED', errorCode: 'CONNECTION_FAILED' });
  await assert.rejects(send('p', 'x', { maxAttempts: 0, timeout: 50 }), { code: 'TIME_OUT' });
  const early = send('p', 'early', { maxAttempts: 0 });
  const pipe = new Pipe('p', () => {});
  await pipe.listen();
  defer(() => pipe.close());
  assert.equal(await early, true);
});

test('a second listener is refused while the first lives', { skip }, async (t) => {
  const { defer } = addresses(t);
  const pipe = new Pipe('p', () => {});
  await pipe.listen();
  defer(() => pipe.close());
  await assert.rejects(new Pipe('p', () => {}).listen(), { code: 'NETWORK_LISTEN_FAILED' });
  assert.equal(await send('p', 'x'), true);
});

test('the exception of a callback reaches its sender; after the last message everybody is told', {
  skip,
}, async (t) => {
  addresses(t);
  const pipe = new Pipe('p', (text) => assert.notEqual(text, 'bad', 'no room'), { maxMessages: 2 });
  await pipe.listen();
  await using sender = new PipeSender('p');
  const results = await Promise.allSettled(['bad', 'good', 'late'].map((text) => sender.send(text)));
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? true : (result.reason as { code: string }).code)),
    ['REMOTE_HANDLER_FAILED', true, 'REMOTE_CLOSED'],
  );
  assert.equal(await pipe.closed, 'max-messages');
  await assert.rejects(sender.send('later'), { errorCode: 'CONNECTION_FAILED' });
});

test('when the listener is killed in the middle of a message, its sender is told that nobody knows', {
  skip,
}, async (t) => {
  const { folder, defer } = addresses(t);
  const listener = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder, sockets: true, hangOn: 'x' });
  await listener.until((event) => event.ready === true);
  const lost = assert.rejects(send('p', 'x', { maxAttempts: 0 }), { code: 'NETWORK_LOST' });
  await listener.until((event) => event.message === 'x');
  await listener.kill();
  await lost;
  // A Unix socket leaves its file; a pipe of Windows leaves nothing.
  rmSync(join(folder, 'p_isthmus'));
  await using next = new Pipe('p', () => {});
  await next.listen();
  assert.equal(await send('p', 'y'), true);
});

test('a sender that is killed does not hold up the others', { skip }, async (t) => {
  const { folder, defer } = addresses(t);
  const begun = gate();
  const hold = gate();
  const got: string[] = [];
  const pipe = new Pipe('p', (text) => {
    got.push(text);
    if (!text.startsWith('a')) return undefined;
    begun.open();
    return hold.opened;
  });
  await pipe.listen();
  defer(() => pipe.close());
  const killed = new PipeProcess(defer, {
    role: 'send',
    name: 'p',
    directory: folder,
    sockets: true,
    messages: ['a|'],
  });
  await begun.opened;
  await killed.kill();
  hold.open();
  assert.equal(await send('p', 'b'), true);
  assert.deepEqual(got, ['a|', 'b']);
});

/** Plays a listener of the original package: one message a connection, three bytes back. */
async function originalListener({ folder, defer }: ReturnType<typeof addresses>, answer: string) {
  const got: string[] = [];
  const server = createServer((socket) =>
    socket.once('data', (chunk: Buffer) => {
      got.push(Buffer.from(chunk.toString('latin1'), 'base64').toString());
      socket.end(answer);
    }),
  );
  await new Promise<void>((resolve) => server.listen(join(folder, 'p'), resolve));
  defer(() => new Promise((resolve) => server.close(resolve)));
  return got;
}

test('a listener of the original package gets one message a connection and acknowledges it', { skip }, async (t) => {
  const got = await originalListener(addresses(t), 'ACK');
  assert.equal(await send('p', 'one'), true);
  assert.equal(await send('p', 'zwei 🦊'), true);
  for (const [message, code] of [
    ['', 'USAGE_INVALID_PAYLOAD'],
    [Buffer.from([0xff]), 'USAGE_INVALID_PAYLOAD'],
    ['x'.repeat(3_073), 'LIMIT_MESSAGE_BYTES'],
  ] as const) {
    await assert.rejects(send('p', message), { code });
  }
  assert.equal(await send('p', 'x'.repeat(3_072)), true);
  assert.deepEqual(got, ['one', 'zwei 🦊', 'x'.repeat(3_072)]);
});

test('a listener of the original package that does not acknowledge is an error', { skip }, async (t) => {
  const got = await originalListener(addresses(t), '');
  await assert.rejects(send('p', 'one', { maxAttempts: 0 }), { code: 'REMOTE_HANDLER_FAILED' });
  assert.deepEqual(got, ['one']);
});

test('an address is the name alone: no slash, no backslash, no directory', { skip }, (t) => {
  const { folder } = addresses(t);
  for (const name of ['a/b', 'a\\b', 'x'.repeat(240)]) {
    assert.throws(() => pipePlace(name, folder), { errorCode: 'INVALID_PIPE_NAME' }, name);
  }
  assert.deepEqual(pipePlace('p', '/elsewhere'), pipePlace('p', folder));
  assert.equal(existsSync(join(folder, 'p')), false);
});
