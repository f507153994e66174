// A machine without the addon: what needs it says so when it is opened, and everything else works.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

const PROGRAM = `
  import { ChannelType, IPCChannel, list } from ${source('shm/index.js')};
  import { IPCClient } from ${source('client/index.js')};
  import { IPCServer } from ${source('server/index.js')};
  const said = [];
  for (const action of [() => new IPCChannel(ChannelType.CHANNEL, 'x'), () => list()]) {
    try { action(); } catch (error) { said.push(error.code, error.statusCode, error.message.includes(process.env.ISTHMUS_ADDON)); }
  }
  const server = new IPCServer({ port: 0 });
  await server.start();
  const client = new IPCClient('one', { port: server.port });
  await client.connect();
  said.push(typeof (await client.ping()));
  await client.disconnect();
  await server.stop();
  console.log(JSON.stringify(said));
`;

test('without the addon a channel says so when it is opened, and all else works', () => {
  const env = { ...process.env, ISTHMUS_ADDON: fileURLToPath(new URL('./nothing.node', import.meta.url)) };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    env,
    encoding: 'utf8',
  });
  assert.deepEqual(
    JSON.parse(stdout || '[]'),
    ['SYSTEM_NO_ADDON', -2, true, 'SYSTEM_NO_ADDON', -2, true, 'number'],
    stderr,
  );
});
