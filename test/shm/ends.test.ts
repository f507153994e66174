// When a process that has channels ends, and what is left of a channel that nobody has any more.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { nothingLeft, uniqueName } from './processes.ts';

const linuxOnly = { skip: process.platform !== 'linux' };
const ENTRY = new URL('../../src/shm/index.js', import.meta.url).href;

/** Runs a program that may use the entry and `name`; gives what it said, once it has ended by itself. */
async function run(body: string): Promise<string> {
  const name = uniqueName('ends');
  const program = `
    import { ChannelType, ConnMode, IPCChannel } from ${JSON.stringify(ENTRY)};
    const name = ${JSON.stringify(name)};
    const open = (mode, options, type = ChannelType.CHANNEL) => new IPCChannel(type, name, mode, options);
    ${body}`;
  const ended = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  assert.deepEqual([ended.signal, ended.status, ended.stderr], [null, 0, '']);
  await nothingLeft(name);
  return ended.stdout;
}

test(
  'a process ends when nobody waits: handles alone, listeners for presence, an idle iterator hold it not',
  linuxOnly,
  async () => {
    await run(`
    const [sender, receiver] = [open(ConnMode.SENDER), open(ConnMode.RECEIVER)];
    sender.on('join', () => undefined);
    sender.trySend('x');
    for await (const message of receiver) break;
    console.log(await sender.waitForReceivers(2, 1));
    await sender.waitForReceivers(2, { signal: AbortSignal.timeout(1) }).catch(() => undefined);`);
  },
);

test('a receiver that does not keep the process alive does not, in whatever mode it waits', linuxOnly, async () => {
  for (const wait of ['sleep', 'spin', 'busy']) {
    const said = await run(`
      const [sender, receiver] = [open(ConnMode.SENDER), open(ConnMode.RECEIVER, { wait: '${wait}' })];
      const came = new Promise((resolve) => receiver.onMessage(resolve));
      receiver.setKeepAlive(false);
      // It still hears while something else does.
      const alive = setInterval(() => undefined, 1000);
      setTimeout(() => sender.trySend('heard'), 5);
      console.log(String(await came));
      clearInterval(alive);`);
    assert.equal(said, 'heard\n');
  }
});

test('process.exit in a handler, and after an error that nobody caught, leaves nothing', linuxOnly, async () => {
  for (const end of [
    'process.exit(0)',
    "process.once('uncaughtException', () => process.exit(0)); throw new Error('x')",
  ]) {
    await run(`
      const [sender, receiver] = [open(ConnMode.SENDER), open(ConnMode.RECEIVER)];
      receiver.onMessage(() => { ${end}; }, { borrow: true });
      sender.trySend('x');
      setInterval(() => undefined, 1000);`);
  }
});

test(
  'arrays over the ring can be looked at when everything else of their channel was collected',
  linuxOnly,
  async () => {
    const said = await run(`
    import { setImmediate as turn } from 'node:timers/promises';
    const loaned = (() => open(ConnMode.SENDER, {}, ChannelType.ROUTE).loan(20_000).data)();
    loaned.fill(7);
    for (let i = 0; i < 10; i++) (gc(), await turn());
    const [sender, receiver] = [open(ConnMode.SENDER, {}, ChannelType.ROUTE), open(ConnMode.RECEIVER, {}, ChannelType.ROUTE)];
    console.log(loaned.every((byte) => byte === 7));
    sender.close();
    receiver.close();`);
    assert.equal(said, 'true\n');
  },
);

async function transferredStays(): Promise<void> {
  const said = await run(`
    const [sender, receiver] = [open(ConnMode.SENDER, {}, ChannelType.ROUTE), open(ConnMode.RECEIVER, {}, ChannelType.ROUTE)];
    sender.trySend(Buffer.alloc(20_000, 7));
    const view = receiver.tryReceiveView();
    const kept = [new Uint8Array(view.data.buffer.transfer())];
    view.release();
    receiver.close();
    const loan = sender.loan(20_000);
    kept.push(new Uint8Array(loan.data.buffer.transfer()));
    loan.release();
    sender.close();
    console.log(kept.map((array) => array.every((byte) => byte >= 0)).join());`);
  assert.equal(said, 'true,true\n');
}

// Node 20 cannot transfer such memory.
if ('transfer' in ArrayBuffer.prototype) {
  test(
    'memory of views and loans that the program has transferred stays when the channel is closed',
    linuxOnly,
    transferredStays,
  );
}
