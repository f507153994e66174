// Named pipes of Windows, as far as they can be tested elsewhere: what Node is given, and what becomes of the
// errors that it gives. Listening for real is in test/integration/listening.test.ts.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { IPCError } from '../base/errors.ts';
import { listen, type Listener, preparePath } from './listening.ts';
import { serverSettings } from './options.ts';

const PIPE = '\\\\.\\pipe\\isthmus';

/** A server that notes what it was told, and listens or fails. */
class Told extends EventEmitter {
  readonly calls: unknown[] = [];
  readonly #error: Error | undefined;

  constructor(error?: Error) {
    super();
    this.#error = error;
  }

  listen(where: unknown, listening: () => void): this {
    this.calls.push(where);
    if (this.#error === undefined) queueMicrotask(listening);
    else queueMicrotask(() => this.emit('error', this.#error));
    return this;
  }
}

const asListener = (told: Told): Listener => told as unknown as Listener;
const fault = (code: string): Error => Object.assign(new Error(code), { code });
const pipe = { kind: 'unix', path: PIPE, mode: 0o600 } as const;
const coded = (code: string) => (error: IPCError) => error.code === code && error.details['path'] === PIPE;

test('the path of a pipe goes to Node as it was given, and makes no file', async () => {
  const before = readdirSync('.');
  for (const path of [PIPE, '\\\\?\\pipe\\isthmus', '\\\\.\\PIPE\\with\\folders']) {
    const [address] = serverSettings({ path }).addresses;
    assert.deepEqual(address, { kind: 'unix', path, mode: 0o600 });
    const told = new Told();
    await preparePath(path, 'win32');
    const listening = listen(asListener(told), { ...pipe, path }, 'win32');
    await listening;
    assert.deepEqual(told.calls, [path]);
    assert.equal(told.listenerCount('error'), 0);
  }
  assert.deepEqual(readdirSync('.'), before);
});

test('on Windows a path that is no pipe is refused by name; elsewhere a pipe’s path is a file’s', async () => {
  for (const path of ['C:\\run\\isthmus.sock', '/run/isthmus', '\\\\.\\pipe\\', '\\\\server\\pipe\\isthmus']) {
    await assert.rejects(preparePath(path, 'win32'), { code: 'USAGE_INVALID_OPTION' });
  }
  await assert.rejects(preparePath(`\\\\.\\pipe\\${'x'.repeat(200)}`, 'linux'), { code: 'NETWORK_PATH_TOO_LONG' });
  await preparePath(`\\\\.\\pipe\\${'x'.repeat(200)}`, 'win32');
});

test('what Windows says of a pipe has the code of what it means', async () => {
  const tell = (code: string): Promise<void> => listen(asListener(new Told(fault(code))), pipe, 'win32');
  await assert.rejects(tell('EADDRINUSE'), coded('NETWORK_PATH_OCCUPIED'));
  // The system's word for a name that it does not take.
  await assert.rejects(tell('EACCES'), coded('NETWORK_LISTEN_FAILED'));
  await assert.rejects(tell('EMFILE'), coded('LIMIT_FILES'));
  await assert.rejects(tell('EIO'), coded('NETWORK_LISTEN_FAILED'));
});

test('a port that Windows reserves is a matter of permission, one in use is in use', async () => {
  const address = { kind: 'tcp', host: 'localhost', port: 80 } as const;
  const tell = (code: string): Promise<void> => listen(asListener(new Told(fault(code))), address, 'win32');
  await assert.rejects(tell('EACCES'), { code: 'NETWORK_PERMISSION' });
  await assert.rejects(tell('EADDRINUSE'), { code: 'NETWORK_PORT_IN_USE' });
});
