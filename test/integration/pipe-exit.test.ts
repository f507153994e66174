// A process that ends without closing its pipes, other than by being killed, leaves no file.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Pipe, send } from '../../src/pipe/index.ts';
import { pipeFolder } from './pipe-folder.ts';
import { withoutFifos as skip } from './pipe-listening.ts';
import { PipeProcess } from './pipe-process.ts';

const FILES = ['p', 'p_ack', 'p_isthmus', 'p_lock'];

function start(way: string, folder: string) {
  const worker = fileURLToPath(new URL('./pipe-exit-worker.js', import.meta.url));
  const child = spawn(process.execPath, [worker, way, folder], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = once(child, 'close').then(() => child.exitCode);
  const ready = once(createInterface(child.stdout), 'line');
  return { child, ended, ready };
}

for (const [way, code] of [
  ['exit', 3],
  ['throw', 1],
] as const) {
  test(`a listener that ends by ${way} leaves nothing, and its sender is told that nobody knows`, {
    skip,
  }, async (t) => {
    const { folder, defer } = pipeFolder(t);
    const { child, ended, ready } = start(way, folder);
    defer(() => child.kill('SIGKILL'));
    await ready;
    assert.deepEqual(readdirSync(folder).sort(), FILES);
    // What is thrown later does not stop the answer.
    const sent = send('p', 'end', { directory: folder });
    if (way === 'exit') await assert.rejects(sent, { code: 'NETWORK_LOST' });
    else await sent;
    assert.equal(await ended, code);
    assert.deepEqual(readdirSync(folder), []);
  });
}

test('a listener that keeps no process alive leaves nothing when its process has no more to do', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const { child, ended, ready } = start('stdin', folder);
  defer(() => child.kill('SIGKILL'));
  await ready;
  assert.deepEqual(readdirSync(folder).sort(), FILES);
  child.stdin.end();
  assert.equal(await ended, 0);
  assert.deepEqual(readdirSync(folder), []);
});

test('a listener that ends before it has begun leaves nothing', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const { child, ended } = start('exit-while-opening', folder);
  defer(() => child.kill('SIGKILL'));
  assert.equal(await ended, 3);
  assert.deepEqual(readdirSync(folder), []);
});

test('a sender that ends while it waits at the door leaves nothing', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const listener = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder });
  defer(async () => {
    await listener.kill();
    for (const file of FILES) unlinkSync(join(folder, file));
  });
  await listener.until((event) => event.ready === true);
  // One that does not run removes nothing.
  listener.signal('SIGSTOP');
  const { child, ended } = start('exit-while-meeting', folder);
  defer(() => child.kill('SIGKILL'));
  assert.equal(await ended, 3);
  assert.deepEqual(readdirSync(folder).sort(), FILES);
});

test('a listener that ends does not take the files of one that listens there since somebody removed its own', {
  skip,
}, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const { child, ended, ready } = start('stdin', folder);
  defer(() => child.kill('SIGKILL'));
  await ready;
  for (const file of FILES) unlinkSync(join(folder, file));
  const got: string[] = [];
  await using next = new Pipe('p', (text) => void got.push(text), { directory: folder });
  await next.listen();
  child.stdin.end();
  assert.equal(await ended, 0);
  assert.deepEqual(readdirSync(folder).sort(), FILES);
  assert.equal(await send(next, 'still there'), true);
  assert.deepEqual(got, ['still there']);
});
