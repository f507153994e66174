// What the doors of isthmus/shm say to those who come with nonsense, too late, twice, or all at once.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as shm from '../../src/shm/index.ts';
import {
  ChannelType,
  ConnMode,
  IPCChannel,
  IPCStatus,
  type Peer,
  type ShmChannelOptions,
} from '../../src/shm/index.ts';
import { makeMessage } from './content.ts';
import { Member, nothingLeft, startMembers, uniqueName } from './processes.ts';

const FOREVER = { timeoutMs: 60_000 };

function opener(t: TestContext, options: ShmChannelOptions = {}): (mode?: ConnMode) => IPCChannel {
  const name = uniqueName('doors');
  return (mode = ConnMode.BOTH) => {
    const channel = new IPCChannel(ChannelType.CHANNEL, name, mode, options);
    t.after(() => channel.close());
    return channel;
  };
}

/** The code and the status code of what a call throws, or rejects with. */
async function errorOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return error instanceof Error && 'code' in error && 'statusCode' in error
      ? `${String(error.code)} ${String(error.statusCode)}`
      : String(error);
  }
  return 'nothing was thrown';
}

async function eachIs(expected: string, calls: Readonly<Record<string, () => unknown>>): Promise<void> {
  for (const [name, call] of Object.entries(calls)) assert.equal(await errorOf(call), expected, name);
}

/** Every call of a handle, as one who does nothing wrong makes it. */
function everyCall(channel: IPCChannel): Record<string, () => unknown> {
  return {
    send: () => channel.send('x'),
    trySend: () => channel.trySend('x'),
    sendSync: () => channel.sendSync('x', 10),
    sendMany: () => channel.sendMany(['x']),
    trySendMany: () => channel.trySendMany(['x']),
    loan: () => channel.loan(1),
    receive: () => channel.receive(10),
    tryReceive: () => channel.tryReceive(),
    receiveSync: () => channel.receiveSync(10),
    receiveMany: () => channel.receiveMany(1, 10),
    receiveInto: () => channel.receiveInto(Buffer.alloc(10), 10),
    tryReceiveInto: () => channel.tryReceiveInto(Buffer.alloc(10)),
    receiveView: () => channel.receiveView(10),
    tryReceiveView: () => channel.tryReceiveView(),
    'onMessage, borrowing': () => channel.onMessage(() => undefined, { borrow: true }),
    onMessage: () => channel.onMessage(() => undefined),
    setKeepAlive: () => channel.setKeepAlive(false),
    rejoin: () => channel.rejoin(),
    getReceiverCount: () => channel.getReceiverCount(),
    getSenderCount: () => channel.getSenderCount(),
    waitForReceivers: () => channel.waitForReceivers(1, 10),
    peers: () => channel.peers(),
    capacityBytes: () => channel.capacityBytes,
  };
}

test('what isthmus/shm exports is what its documents name', () => {
  assert.deepEqual(Object.keys(shm).sort(), [
    'ChannelType',
    'ConnMode',
    'IPCChannel',
    'IPCStatus',
    'Loan',
    'MessageView',
    'clearChannelStorage',
    'inspect',
    'list',
    'receiveMessage',
    'sendMessage',
  ]);
});

test('every call after close says so, and after disconnect; both may be said twice', async (t) => {
  const open = opener(t);
  const closed = open();
  closed.disconnect();
  closed.disconnect();
  const calls = everyCall(closed);
  for (const [name, call] of Object.entries(calls)) assert.match(await errorOf(call), /^USAGE_NOT_CONNECTED -/, name);
  closed.close();
  closed.close();
  await closed[Symbol.asyncDispose]();
  for (const [name, call] of Object.entries(calls)) assert.match(await errorOf(call), /^USAGE_CLOSED -/, name);
  assert.equal(await errorOf(() => closed.connect()), `USAGE_CLOSED ${IPCStatus.CONNECTION_FAILED}`);
  assert.equal(closed.isClosed, true);
  assert.equal(closed.missedCount, 0);
  const iterator = open()[Symbol.asyncIterator]();
  assert.deepEqual(await iterator.return?.(), { done: true, value: undefined });
});

test('arguments that mean nothing are refused, each by name, with INVALID_ARGUMENT', async (t) => {
  const channel = opener(t)();
  const name = uniqueName('never');
  const make = (type: unknown, mode: unknown, options: unknown = {}): unknown =>
    Reflect.construct(IPCChannel, [type, name, mode, options]);
  const call = (method: string, ...args: unknown[]): (() => unknown) => {
    const found: unknown = Reflect.get(channel, method);
    assert.ok(typeof found === 'function', method);
    return (): unknown => Reflect.apply(found, channel, args);
  };
  const options = [
    null,
    7,
    { capacityBytes: 4095 },
    { capacityBytes: 2 ** 30 + 1 },
    { capacityBytes: Number.NaN },
    { capacityBytes: '1' },
    { policy: 'lose' },
    { evictAfterMs: 0 },
    { history: -1 },
    { history: 1.5 },
    { latest: 1 },
    { group: 'yes' },
    { wait: 'hope' },
    { spinMicros: 0 },
    { echo: 0 },
    { peerName: 'x'.repeat(41) },
    { peerName: 1 },
    { mustExist: null },
    { capacityByte: 4096 },
  ];
  await eachIs(`USAGE_INVALID_OPTION ${IPCStatus.INVALID_ARGUMENT}`, {
    'type 2': () => make(2, 1),
    'type of text': () => make('ROUTE', 1),
    'mode 0': () => make(0, 0),
    'mode 4': () => make(0, 4),
    ...Object.fromEntries(options.map((given) => [JSON.stringify(given), () => make(1, 3, given)])),
    'connect(8)': call('connect', 8),
    ...Object.fromEntries(
      [undefined, null, 7, {}, [1], new Uint16Array(2)].flatMap((data) =>
        ['send', 'trySend', 'sendSync'].map((method) => [`${method} ${JSON.stringify(data)}`, call(method, data)]),
      ),
    ),
    ...Object.fromEntries(
      [undefined, null, 7, 'x', {}, [1], new Uint16Array(2), new ArrayBuffer(8)].flatMap((place) =>
        ['receiveInto', 'tryReceiveInto'].map((method) => [`${method} ${JSON.stringify(place)}`, call(method, place)]),
      ),
    ),
    'sendMany of no array': call('sendMany', 'text'),
    'sendMany of numbers': call('sendMany', [1]),
    'trySendMany of nothing': call('trySendMany'),
    ...Object.fromEntries(
      [-1, Number.NaN, '1', null, { timeoutMs: -1 }, { timeoutMs: 'x' }, { signal: {} }, { timeout: 5 }].flatMap(
        (wait) => [
          [`send ${JSON.stringify(wait)}`, call('send', 'x', wait)],
          [`sendMany ${JSON.stringify(wait)}`, call('sendMany', ['x'], wait)],
          [`receive ${JSON.stringify(wait)}`, call('receive', wait)],
          [`receiveMany ${JSON.stringify(wait)}`, call('receiveMany', 1, wait)],
          [`receiveInto ${JSON.stringify(wait)}`, call('receiveInto', Buffer.alloc(1), wait)],
          [`receiveView ${JSON.stringify(wait)}`, call('receiveView', wait)],
          [`waitForReceivers ${JSON.stringify(wait)}`, call('waitForReceivers', 1, wait)],
        ],
      ),
    ),
    'trySend for -1 ms': call('trySend', 'x', -1),
    'sendSync for NaN ms': call('sendSync', 'x', Number.NaN),
    'receiveSync for NaN ms': call('receiveSync', Number.NaN),
    'receiveMany 0': call('receiveMany', 0),
    'receiveMany 1.5': call('receiveMany', 1.5),
    'waitForReceivers -1': call('waitForReceivers', -1),
    'waitForReceivers of nothing': call('waitForReceivers'),
    'loan -1': call('loan', -1),
    'loan of nothing': call('loan'),
    'onMessage of no function': call('onMessage', 'x'),
    'onMessage that borrows a text': call('onMessage', () => undefined, { borrow: 'yes' }),
    'onMessage that lends': call('onMessage', () => undefined, { lend: true }),
    'setKeepAlive of a text': call('setKeepAlive', 'no'),
  });
  const transferred = new ArrayBuffer(8);
  structuredClone(transferred, { transfer: [transferred] });
  await eachIs(`USAGE_INVALID_OPTION ${IPCStatus.INVALID_ARGUMENT}`, { transferred: call('send', transferred) });
  await eachIs(`USAGE_INVALID_NAME ${IPCStatus.INVALID_ARGUMENT}`, {
    'no name': () => new IPCChannel(ChannelType.CHANNEL, ''),
    'a long name': () => new IPCChannel(ChannelType.CHANNEL, 'ü'.repeat(61)),
    'a number': (): unknown => Reflect.construct(IPCChannel, [1, 7]),
    list: () => shm.inspect(''),
    clear: () => shm.clearChannelStorage(''),
    sendMessage: () => shm.sendMessage('', 'x'),
    receiveMessage: () => shm.receiveMessage('', 1),
  });
  assert.ok(!shm.list().some((entry) => entry.name === name));
  assert.equal(channel.tryReceive(), null);
});

test('a wait that was aborted before or half-way ends with TIME_CANCELLED, and the next is not disturbed', async (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const [receiver, sender] = [open(ConnMode.RECEIVER), open(ConnMode.SENDER)];
  const before = AbortSignal.abort();
  const cancelled = (activity: number): string => `TIME_CANCELLED ${activity}`;
  assert.equal(await errorOf(() => receiver.receive({ signal: before })), cancelled(IPCStatus.RECEIVE_FAILED));
  assert.equal(await errorOf(() => receiver.receiveMany(1, { signal: before })), cancelled(IPCStatus.RECEIVE_FAILED));
  assert.equal(await errorOf(() => sender.send('x', { signal: before })), cancelled(IPCStatus.SEND_FAILED));
  const place = Buffer.alloc(100);
  const late = { signal: before };
  assert.equal(await errorOf(() => receiver.receiveInto(place, late)), cancelled(IPCStatus.RECEIVE_FAILED));
  assert.equal(await errorOf(() => receiver.receiveView(late)), cancelled(IPCStatus.RECEIVE_FAILED));
  assert.equal(
    await errorOf(() => sender.waitForReceivers(1, { signal: before })),
    cancelled(IPCStatus.CONNECTION_FAILED),
  );
  assert.equal(receiver.tryReceive(), null);
  while (sender.trySend(Buffer.alloc(500)));
  const abort = new AbortController();
  const { signal } = abort;
  const ends = [
    sender.send(Buffer.alloc(500, 1), { signal }),
    sender.sendMany([Buffer.alloc(500, 2)], { signal }),
    sender.send(Buffer.alloc(50_000, 3), { signal }),
    sender.waitForReceivers(5, { signal }),
  ].map((promise) => errorOf(() => promise));
  const last = sender.send('last', FOREVER);
  abort.abort();
  for (const end of ends) assert.match(await end, /^TIME_CANCELLED -/);
  let received = await receiver.receive(FOREVER);
  while (received.length === 500) received = await receiver.receive(FOREVER);
  await last;
  assert.equal(received.toString(), 'last');
  const again = new AbortController();
  const given = [
    errorOf(() => receiver.receive({ signal: again.signal })),
    errorOf(() => receiver.receiveInto(place, { signal: again.signal })),
    errorOf(() => receiver.receiveView({ signal: again.signal })),
  ];
  const other = receiver.receive(FOREVER);
  again.abort();
  for (const up of given) assert.match(await up, /^TIME_CANCELLED -/);
  await sender.send('for the other');
  assert.equal((await other).toString(), 'for the other');
});

test('one loan at a time: committed or released once, and gone with its handle', async (t) => {
  const name = uniqueName('loans');
  const sender = new IPCChannel(ChannelType.ROUTE, name, ConnMode.SENDER, { capacityBytes: 16_384 });
  const receiver = new IPCChannel(ChannelType.ROUTE, name, ConnMode.RECEIVER);
  t.after(() => (sender.close(), receiver.close()));
  const loan = sender.loan(100);
  assert.throws(() => sender.loan(100), { code: 'USAGE_WRONG_MODE' });
  await assert.rejects(sender.send('x'), { code: 'USAGE_WRONG_MODE' });
  await assert.rejects(loan.commit(101), { code: 'USAGE_INVALID_OPTION' });
  await assert.rejects(loan.commit(-1), { code: 'USAGE_INVALID_OPTION' });
  await loan.commit(0);
  assert.equal(receiver.tryReceive()?.length, 0);
  assert.throws(() => loan.commit(), { code: 'USAGE_RELEASED' });
  loan.release();
  using last = sender.loan(100);
  const { data } = last;
  sender.close();
  assert.equal(data.length, 0);
  assert.throws(() => last.commit(), { code: 'USAGE_RELEASED' });
  assert.equal(receiver.tryReceive(), null);
});

test('joins, leaves and deaths of others are told once each, with process, name and lag', async (t) => {
  const name = uniqueName('presence');
  const watcher = new IPCChannel(ChannelType.CHANNEL, name, ConnMode.SENDER);
  t.after(() => watcher.close());
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  const told: string[] = [];
  let wake = (): void => undefined;
  const until = async (length: number): Promise<void> => {
    while (told.length < length) await new Promise<void>((resolve) => (wake = resolve));
  };
  for (const event of ['join', 'leave', 'death'] as const) {
    watcher.on(event, (peer: Peer) => {
      told.push(`${event} ${peer.name}`);
      wake();
    });
  }
  const before = Date.now();
  const [member] = await startMembers([{ what: 'hold', name, options: { peerName: 'the held' } }]);
  await until(1);
  await watcher.send(Buffer.alloc(1000));
  const [peer] = watcher.peers().filter(({ receives }) => receives);
  assert.equal(peer?.pid, member?.child.pid);
  assert.equal(peer?.name, 'the held');
  assert.equal(peer?.lagBytes, 1024);
  assert.ok(peer.joinedAt.getTime() >= before && peer.joinedAt.getTime() <= Date.now());
  // It stays until it was seen: who comes and goes between two looks of the watcher is not told.
  const leaver = new Member({ what: 'receive', name, count: 1, options: { peerName: 'the leaver' } });
  await until(2);
  await watcher.send(makeMessage(1, 0, 100));
  await leaver.ended();
  await until(3);
  await member?.end('SIGKILL');
  // The count looks for itself, and does not wait for the event.
  assert.equal(watcher.getReceiverCount(), 0);
  await until(4);
  assert.deepEqual(told, ['join the held', 'join the leaver', 'leave the leaver', 'death the held']);
  watcher.close();
  await nothingLeft(name);
});

test('a channel holds 1,024 handles, and says when there are more', (t) => {
  const open = opener(t, { capacityBytes: 4096 });
  const handles = Array.from({ length: 1024 }, () => open(ConnMode.RECEIVER));
  assert.throws(() => open(ConnMode.SENDER), { code: 'LIMIT_PEERS' });
  handles[500]?.close();
  const sender = open(ConnMode.SENDER);
  assert.equal(sender.getReceiverCount(), 1023);
  assert.ok(sender.trySend('to all of them'));
  assert.ok(handles.every((handle) => handle.isClosed || handle.tryReceive()?.toString() === 'to all of them'));
});
