// A /dev/shm that is too small, in a mount namespace of its own.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** From util-linux. */
const UNSHARE = 'unshare';
const CAN_UNSHARE = spawnSync(UNSHARE, ['-rm', 'true']).status === 0;
const ENTRY = new URL('../../src/shm/index.js', import.meta.url).href;
const PROGRAM = `
  import { ChannelType, IPCChannel } from ${JSON.stringify(ENTRY)};
  try { new IPCChannel(ChannelType.CHANNEL, 'large'); } catch (error) { console.log(error.code, error.statusCode, / of 1048576 bytes$/.test(error.message)); }
  const small = new IPCChannel(ChannelType.CHANNEL, 'small', 3, { capacityBytes: 65536 });
  console.log(small.trySend(Buffer.alloc(10000)));
`;

test('too little shared memory is an error when a channel is made, and never a crash', { skip: !CAN_UNSHARE }, () => {
  const shell = 'mount -t tmpfs -o size=512k tmpfs /dev/shm && exec "$0" --input-type=module -e "$1"';
  const run = spawnSync(UNSHARE, ['-rm', 'sh', '-c', shell, process.execPath, PROGRAM], { encoding: 'utf8' });
  assert.equal(run.stdout, 'SYSTEM_SHM_SPACE -6 true\ntrue\n', run.stderr);
});

test('a limit for the size of files is an error when a channel is made, and does not end the process', {
  skip: process.platform === 'win32',
}, () => {
  const program = `
    import { ChannelType, IPCChannel } from ${JSON.stringify(ENTRY)};
    try { new IPCChannel(ChannelType.CHANNEL, 'limited'); } catch (error) { console.log(error.code, error.statusCode); }`;
  const shell = 'ulimit -f 100 && exec "$0" --input-type=module -e "$1"';
  const run = spawnSync('sh', ['-c', shell, process.execPath, program], { encoding: 'utf8' });
  assert.equal(run.stdout, 'SYSTEM_SHM_SPACE -6\n', run.stderr);
});
