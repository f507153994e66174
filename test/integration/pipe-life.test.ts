// How a listener begins and ends, what it leaves, and what becomes of those who send meanwhile.

import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pipe, PipeError, PipeSender, send } from '../../src/pipe/index.ts';
import { tryLock } from '../../src/pipe/lock.ts';
import { pipePaths } from '../../src/pipe/names.ts';
import { openDescriptors, pipeFolder } from './pipe-folder.ts';
import { gate, listening, withoutFifos as skip } from './pipe-listening.ts';
import { PipeProcess } from './pipe-process.ts';

test('after the die code nothing is processed; it is acknowledged, and who waits or comes later is told', {
  skip,
}, async (t) => {
  const { pipe, got, folder } = await listening(t);
  const sender = new PipeSender('p', { directory: folder });
  const [before, die, after] = await Promise.allSettled([
    sender.send('one'),
    sender.send('PIPECOM_DIE'),
    sender.send('two'),
  ]);
  assert.deepEqual([before.status, die.status], ['fulfilled', 'fulfilled']);
  assert.ok(after.status === 'rejected' && after.reason instanceof PipeError);
  assert.equal(after.reason.code, 'REMOTE_CLOSED');
  assert.equal(await pipe.closed, 'die-code');
  await assert.rejects(sender.send('three'), { errorCode: 'CONNECTION_FAILED' });
  await sender.close();
  assert.deepEqual(got, ['one']);
});

test('the die code is what the option says, or nothing', { skip }, async (t) => {
  const { pipe, got, folder } = await listening(t, { dieCode: 'stop' });
  await send(pipe, 'PIPECOM_DIE');
  await send(pipe, 'stop');
  assert.equal(await pipe.closed, 'die-code');
  assert.deepEqual(got, ['PIPECOM_DIE']);
  const all: string[] = [];
  await using immortal = new Pipe('p', (text) => void all.push(text), { directory: folder, dieCode: null });
  await immortal.listen();
  await send(immortal, 'PIPECOM_DIE');
  assert.deepEqual(all, ['PIPECOM_DIE']);
});

test('after maxMessages nothing is processed and every later sender is told', { skip }, async (t) => {
  const { pipe, got, folder } = await listening(t, { maxMessages: 3 });
  const senders = Array.from({ length: 5 }, () => new PipeSender('p', { directory: folder }));
  const results = await Promise.allSettled(senders.map((sender, n) => sender.send(`m${n}`)));
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 3);
  for (const result of results) {
    if (result.status === 'rejected') assert.equal((result.reason as PipeError).errorCode, 'CONNECTION_FAILED');
  }
  assert.equal(await pipe.closed, 'max-messages');
  assert.equal(got.length, 3);
  await Promise.all(senders.map((sender) => sender.close()));
});

test('the timeout of a listener is inactivity: each message puts it off', { skip }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { pipe } = await listening(t, { timeout: 1_000, daemon: false });
  for (let n = 0; n < 5; n++) {
    t.mock.timers.tick(900);
    assert.equal(await send(pipe, `${n}`, { timeout: 0 }), true);
  }
  t.mock.timers.tick(999);
  assert.equal(pipe.isListening, true);
  t.mock.timers.tick(1);
  assert.equal(await pipe.closed, 'inactivity');
});

test('a listener does not count as inactive while a message is being processed', { skip }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const begun = gate();
  const hold = gate();
  const { pipe } = await listening(t, { timeout: 1_000, daemon: false }, () => {
    begun.open();
    return hold.opened;
  });
  const sent = send(pipe, 'long', { timeout: 0 });
  await begun.opened;
  t.mock.timers.tick(5_000);
  assert.equal(pipe.isListening, true);
  hold.open();
  assert.equal(await sent, true);
  t.mock.timers.tick(1_000);
  assert.equal(await pipe.closed, 'inactivity');
});

test('close finishes what is being processed, refuses what waits, and can be called twice', { skip }, async (t) => {
  const begun = gate();
  const hold = gate();
  const { pipe, got } = await listening(t, {}, () => {
    begun.open();
    return hold.opened;
  });
  const running = send(pipe, 'running');
  const waiting = send(pipe, 'waiting');
  await begun.opened;
  const closed = Promise.all([pipe.close(), pipe.close()]);
  await assert.rejects(waiting, { code: 'REMOTE_CLOSED' });
  hold.open();
  assert.equal(await running, true);
  await closed;
  assert.deepEqual(got, ['running']);
  assert.equal(await pipe.closed, 'closed');
  await assert.rejects(pipe.listen(), { code: 'USAGE_CLOSED' });
});

test('a message that a listener refused on closing goes to the next one when attempts are left', {
  skip,
}, async (t) => {
  const { pipe, folder } = await listening(t, { maxMessages: 1 });
  await using sender = new PipeSender('p', { directory: folder, maxAttempts: 0 });
  const sent = [sender.send('a'), sender.send('b')];
  await pipe.closed;
  const got: string[] = [];
  await using next = new Pipe('p', (text) => void got.push(text), { directory: folder });
  await next.listen();
  await Promise.all(sent);
  assert.deepEqual(got, ['b']);
});

test('an AbortSignal closes the listener', { skip }, async (t) => {
  const controller = new AbortController();
  const { pipe } = await listening(t, { signal: controller.signal });
  controller.abort();
  assert.equal(await pipe.closed, 'aborted');
});

test('one sender too many is refused; when one leaves, the next comes in', { skip }, async (t) => {
  const { folder } = await listening(t, { maxSenders: 1 });
  const first = new PipeSender('p', { directory: folder });
  await first.send('x');
  await using second = new PipeSender('p', { directory: folder });
  await assert.rejects(second.send('y'), { code: 'LIMIT_CONNECTIONS', errorCode: 'CONNECTION_FAILED' });
  await first.close();
  assert.equal(await second.send('z', { maxAttempts: 0 }), true);
});

test('FIFOs have mode 0600, or what the option says, whatever the umask is', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const modeOf = (file: string): number => lstatSync(join(folder, file)).mode & 0o777;
  await using pipe = new Pipe('p', () => {}, { directory: folder });
  await pipe.listen();
  for (const file of ['p', 'p_ack', 'p_isthmus', 'p_lock']) assert.equal(modeOf(file), 0o600, file);
  await using open = new Pipe('open', () => {}, { directory: folder, mode: 0o666 });
  await open.listen();
  for (const file of ['open', 'open_ack', 'open_isthmus']) assert.equal(modeOf(file), 0o666, file);
});

test('names: what cannot be a file is refused with INVALID_PIPE_NAME', { skip }, async () => {
  for (const name of ['', '  ', 'a\0b', 'x'.repeat(240), 'folder/']) {
    await assert.rejects(send(name, 'x'), { errorCode: 'INVALID_PIPE_NAME', code: 'USAGE_INVALID_NAME' });
    assert.throws(() => new Pipe(name, () => {}), { errorCode: 'INVALID_PIPE_NAME' });
  }
});

test('a file, a folder or a link that stands where a FIFO should is left alone', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  writeFileSync(join(folder, 'file_isthmus'), 'precious');
  mkdirSync(join(folder, 'dir'));
  symlinkSync('/dev/null', join(folder, 'link_ack'));
  defer(() => {
    for (const name of ['file_isthmus', 'dir', 'link_ack']) rmSync(join(folder, name), { recursive: true });
  });
  await assert.rejects(send('file', 'x', { directory: folder }), { errorCode: 'INVALID_PIPE' });
  for (const name of ['file', 'dir', 'link']) {
    await assert.rejects(
      new Pipe(name, () => {}, { directory: folder }).listen(),
      { code: 'NETWORK_PATH_OCCUPIED' },
      name,
    );
  }
  for (const name of ['file_isthmus', 'dir', 'link_ack']) assert.ok(existsSync(join(folder, name)));
});

test('a directory that is not there is a typed error', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const directory = join(folder, 'missing');
  await assert.rejects(new Pipe('p', () => {}, { directory }).listen(), {
    name: 'PipeError',
    code: 'NETWORK_LISTEN_FAILED',
  });
  await assert.rejects(send('p', 'x', { directory }), { code: 'NETWORK_CONNECT_FAILED' });
});

test('a second listener is refused while the first lives', { skip }, async (t) => {
  const { pipe, folder } = await listening(t);
  const second = new Pipe('p', () => {}, { directory: folder });
  await assert.rejects(second.listen(), { code: 'NETWORK_LISTEN_FAILED', errorCode: 'CONNECTION_FAILED' });
  assert.equal(await send(pipe, 'x'), true);
});

test('sends that follow each other share one lane, which is closed some time after the last', { skip }, async (t) => {
  const { pipe, folder } = await listening(t);
  const idle = openDescriptors(folder).length;
  for (let n = 0; n < 5; n++) {
    await send(pipe, `${n}`);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    // Both ends of one lane are in this process: four descriptors.
    assert.equal(openDescriptors(folder).length, idle + 4);
  }
  while (openDescriptors(folder).length > idle) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await send(pipe, 'after'), true);
});

test('a lane that is kept does not lead to the listener before: the next send meets the one that is there', {
  skip,
}, async (t) => {
  const { pipe, folder } = await listening(t);
  assert.equal(await send(pipe, 'first'), true);
  await pipe.close();
  await assert.rejects(send('p', 'nobody', { directory: folder }), { code: 'NETWORK_CONNECT_FAILED' });
  const got: string[] = [];
  await using next = new Pipe('p', (text) => void got.push(text), { directory: folder });
  await next.listen();
  assert.equal(await send(next, 'second'), true);
  assert.deepEqual(got, ['second']);
});

test('a lane that is kept does not lead to a listener that was killed', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  for (let life = 0; life < 2; life++) {
    const listener = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder });
    await listener.until((event) => event.ready === true);
    assert.equal(await send('p', 'there', { directory: folder }), true);
    listener.killNow();
    // Without a turn of the event loop: what the kernel knows has not been read yet.
    await assert.rejects(send('p', 'gone', { directory: folder }), { code: 'NETWORK_CONNECT_FAILED' });
  }
  await using last = new Pipe('p', () => {}, { directory: folder });
  await last.listen();
});

test('a listener that was killed leaves nothing that the next one cannot take over', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const killed = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder });
  await killed.until((event) => event.ready === true);
  await send('p', 'one', { directory: folder });
  await killed.kill();
  assert.ok(existsSync(join(folder, 'p')));
  await assert.rejects(send('p', 'nobody', { directory: folder }), { code: 'NETWORK_CONNECT_FAILED' });
  const got: string[] = [];
  await using next = new Pipe('p', (text) => void got.push(text), { directory: folder });
  await next.listen();
  await send(next, 'two');
  assert.deepEqual(got, ['two']);
});

test('many who wait where a killed listener left its files do not keep the next listener out, nor each other', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const killed = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder });
  await killed.until((event) => event.ready === true);
  await killed.kill();
  const senders = Array.from({ length: 8 }, () => new PipeSender('p', { directory: folder, maxAttempts: 0 }));
  const sent = senders.map((sender, n) => sender.send(`${n}`));
  // Long enough for each of them to have tried.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const got: string[] = [];
  await using next = new Pipe('p', (text) => void got.push(text), { directory: folder });
  await next.listen();
  await Promise.all(sent);
  await Promise.all(senders.map((sender) => sender.close()));
  assert.equal(got.length, 8);
});

test('when the listener is killed in the middle of a message, its sender is told that nobody knows', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const killed = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder, hangOn: 'x' });
  await killed.until((event) => event.ready === true);
  const sent = send('p', 'x', { directory: folder, maxAttempts: 0 });
  const lost = assert.rejects(sent, { code: 'NETWORK_LOST' });
  await killed.until((event) => event.message === 'x');
  await killed.kill();
  await lost;
  // What was left is taken over, and taken away.
  await using next = new Pipe('p', () => {}, { directory: folder });
  await next.listen();
});

test('a sender that is killed half-way through a message does not hold up the others', { skip }, async (t) => {
  const { pipe, got, folder, defer } = await listening(t);
  const half = new PipeProcess(defer, { role: 'send', name: 'p', directory: folder, messages: ['a', 'b'] });
  await half.until((event) => event.acknowledged === 'a');
  await half.kill();
  assert.equal(await send(pipe, 'c'), true);
  assert.ok(got.includes('a') && got.includes('c'));
});

test('senders that hold the lock one after the other do not keep a listener out, however long they are at it', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const path = pipePaths('p', folder).lock;
  const pipe = new Pipe('p', () => {}, { directory: folder });
  let holder = tryLock(path, 0o600);
  const listening = pipe.listen();
  // Longer together than one of them may hold it, and never free when the listener looks.
  for (let turn = 0; turn < 9; turn++) {
    await sleep(400);
    holder?.release(true);
    holder = tryLock(path, 0o600);
    assert.ok(holder !== undefined);
  }
  holder?.release(true);
  await listening;
  await pipe.close();
});
