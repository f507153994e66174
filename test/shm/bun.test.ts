// Bun beside Node on one channel. ISTHMUS_BUN names the program; without it this test does not exist, since CI has
// no Bun.

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ChannelType, ConnMode, IPCChannel, type Peer } from '../../src/shm/index.ts';
import { makeMessage, OrderCheck, readMessage, sizeOf } from './content.ts';
import { nothingLeft, uniqueName } from './processes.ts';

const bun = process.env['ISTHMUS_BUN'];
const MEMBER = new URL('./member.js', import.meta.url).pathname;

if (bun !== undefined) {
  test('Bun sends to Node and receives from it, waits, is woken, and is missed when it was killed', async (t) => {
    const name = uniqueName('bun');
    const options = { capacityBytes: 65_536 };
    const member = (task: object): ChildProcessByStdio<Writable, Readable, null> => {
      const argument = JSON.stringify({ name, options, ...task });
      const child = spawn(bun, [MEMBER, argument], { stdio: ['pipe', 'pipe', 'inherit'] });
      t.after(() => child.kill('SIGKILL'));
      return child;
    };
    const receiver = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.RECEIVER, options);
    const sender = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER, options);
    t.after(() => (receiver.close(), sender.close()));
    const count = 3000;
    const receiving = member({ what: 'receive', count: 2 * count });
    assert.ok(await sender.waitForReceivers(2, { timeoutMs: 60_000 }));
    // Not before the other has joined, who would wait for what was sent without him.
    const sending = member({ what: 'send', sender: 1, count, maxBytes: 20_000 });
    const said = [sending, receiving].map((child) => text(child.stdout));
    const order = new OrderCheck();
    const all = (async () => {
      for (let i = 0; i < 2 * count; i++) order.accept(readMessage(await receiver.receive({ timeoutMs: 60_000 })));
    })();
    for (let i = 0; i < count; i++) await sender.send(makeMessage(2, i, sizeOf(2, i, 20_000)), { timeoutMs: 60_000 });
    await all;
    assert.match((await said[0]) ?? '', /"sent":3000/);
    assert.match((await said[1]) ?? '', new RegExp(`"digest":${order.digest}\\b`));

    const echo = member({ what: 'echo' });
    assert.ok(await sender.waitForReceivers(2, { timeoutMs: 60_000 }));
    for (let i = 0; i < 200; i++) {
      await sender.send(makeMessage(3, i, 100));
      await receiver.receive({ timeoutMs: 60_000 });
      assert.deepEqual(readMessage(await receiver.receive({ timeoutMs: 60_000 })), { sender: 3, number: i });
    }
    const died = once(sender, 'death') as Promise<[Peer]>;
    echo.kill('SIGKILL');
    receiver.onMessage(() => undefined);
    assert.equal((await died)[0].pid, echo.pid);
    assert.equal(sender.getReceiverCount(), 1);
    receiver.close();
    sender.close();
    await nothingLeft(name);
  });
}
