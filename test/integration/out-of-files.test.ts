// A process that has as many files open as it may: every door says so, and opens once there is room again.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { temporaryFolder } from '../cli/command-process.ts';

const entry = (name: string): string => JSON.stringify(new URL(`../../src/${name}/index.js`, import.meta.url).href);
const PROGRAM = `
  import { closeSync, openSync } from 'node:fs';
  import { IPCClient } from ${entry('client')};
  import { Pipe } from ${entry('pipe')};
  import { IPCServer } from ${entry('server')};
  import { ChannelType, IPCChannel } from ${entry('shm')};

  const [folder] = process.argv.slice(1);
  const path = folder + '/s';
  const doors = {
    server: async () => { const server = new IPCServer({ path }); await server.start(); await server.stop(); },
    client: async () => { const client = new IPCClient('a', { path, reconnect: false }); await client.connect().finally(() => client.disconnect()); },
    pipe: async () => { const pipe = new Pipe('p', () => undefined, { directory: folder }); await pipe.listen(); await pipe.close(); },
    channel: async () => new IPCChannel(ChannelType.CHANNEL, 'files' + process.pid).close(),
  };
  const tryAll = async () => {
    const said = {};
    for (const [name, open] of Object.entries(doors)) said[name] = await open().then(() => 'open', (error) => error.code);
    return said;
  };
  // The modules that come only when they are needed are needed once.
  await tryAll();
  const files = [];
  try { for (;;) files.push(openSync('/dev/null')); } catch {}
  const full = await tryAll();
  for (const file of files) closeSync(file);
  console.log(JSON.stringify([full, await tryAll()]));
`;

test('with no file left to open, every door says LIMIT_FILES, and opens when there are files again', {
  skip: process.platform === 'win32',
}, (t) => {
  const shell = 'ulimit -n 80 && exec "$0" --input-type=module -e "$1" "$2"';
  const run = spawnSync('sh', ['-c', shell, process.execPath, PROGRAM, temporaryFolder(t)], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const [full, after] = JSON.parse(run.stdout) as [unknown, unknown];
  const each = (said: string): object => ({ server: said, client: said, pipe: said, channel: said });
  assert.deepEqual(full, each('LIMIT_FILES'));
  // Nobody serves the client.
  assert.deepEqual(after, { ...each('open'), client: 'NETWORK_CONNECT_FAILED' });
});
