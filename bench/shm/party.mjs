// @ts-check
// One process of the shared-memory benchmark: a sender, a receiver, or one end of a round trip, over the
// ring or over a Unix socket. Told what to do by the message that starts it; answers with figures.

import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { ChannelType, ConnMode, IPCChannel } from '../../dist/shm/index.js';

/**
 * @typedef {object} Task
 * @property {'send' | 'receive' | 'ask' | 'answer' | 'idle'} role
 * @property {string} way one of the ways of run.mjs
 * @property {string} name of the channel, and of the socket
 * @property {number} bytes
 * @property {number} seconds
 * @property {number} receivers
 * @property {number} senders
 * @property {'sleep' | 'spin' | 'busy'} wait
 */

const BATCH = 128;
const now = () => performance.timeOrigin + performance.now();
/** @param {object} message */
const tell = (message) => process.send?.(message);

/** @param {Task} task @param {ConnMode} mode @param {string} [suffix] */
function openChannel(task, mode, suffix = '') {
  const type = task.senders > 1 ? ChannelType.CHANNEL : ChannelType.ROUTE;
  return new IPCChannel(type, task.name + suffix, mode, { wait: task.wait, capacityBytes: 4 << 20 });
}

/** Counts messages between the first and the last; an empty message would be none, so ends are told apart by time. */
class Meter {
  count = 0;
  first = 0;
  last = 0;
  #sample = 0;
  add() {
    if (this.count++ === 0) this.first = this.last = now();
    else if ((++this.#sample & 63) === 0) this.last = now();
  }
  report() {
    this.last = now();
    tell({ count: this.count, first: this.first, last: this.last });
  }
}

/** @param {Task} task */
async function receive(task) {
  const meter = new Meter();
  if (task.way.startsWith('socket')) {
    const server = createServer((socket) => receiveFrames(socket, task.bytes, () => meter.add()));
    server.listen(task.name);
    await once(server, 'listening');
  } else {
    const channel = openChannel(task, ConnMode.RECEIVER);
    if (task.way === 'shm await') void receiveAwaiting(channel, meter);
    else if (task.way === 'shm view') receiveViews(channel, meter);
    else channel.onMessage((data) => (data.length === task.bytes ? meter.add() : undefined));
  }
  process.on('message', (message) => {
    if (message === 'report') meter.report();
  });
  tell({ ready: true });
}

/** @param {IPCChannel} channel @param {Meter} meter */
async function receiveAwaiting(channel, meter) {
  for await (const data of channel) if (data.length >= 0) meter.add();
}

/** Views are polled: what is measured is the way of a message without a copy. @param {IPCChannel} channel @param {Meter} meter */
function receiveViews(channel, meter) {
  for (let i = 0; i < 256; i++) {
    const view = channel.tryReceiveView();
    if (view === undefined) break;
    view.release();
    meter.add();
  }
  setImmediate(() => receiveViews(channel, meter));
}

/** @param {import('node:net').Socket} socket @param {number} bytes @param {() => void} each */
function receiveFrames(socket, bytes, each) {
  // All frames have one size: a limit, not a codec.
  const frame = bytes + 4;
  let pending = 0;
  socket.on('data', (chunk) => {
    pending += chunk.length;
    while (pending >= frame) {
      pending -= frame;
      each();
    }
  });
  socket.on('error', () => undefined);
}

/** @param {Task} task */
async function send(task) {
  const payload = Buffer.alloc(task.bytes, 1);
  const until = performance.now() + task.seconds * 1000;
  if (task.way.startsWith('socket')) {
    await sendToSockets(task, payload, until);
  } else {
    const channel = openChannel(task, ConnMode.SENDER);
    await channel.waitForReceivers(task.receivers, { timeoutMs: 20_000 });
    const batch = Array.from({ length: BATCH }, () => payload);
    while (performance.now() < until) {
      if (task.way === 'shm batch') await channel.sendMany(batch);
      else if (task.way === 'shm await') for (let i = 0; i < BATCH; i++) await channel.send(payload);
      else for (let i = 0; i < BATCH; i++) if (!channel.trySend(payload)) await channel.send(payload);
    }
  }
  tell({ sent: true });
}

/** @param {Task} task @param {Buffer} payload @param {number} until */
async function sendToSockets(task, payload, until) {
  const sockets = Array.from({ length: task.receivers }, (_, i) => connect(`${task.name.replace(/\.0$/, '')}.${i}`));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const frame = Buffer.alloc(payload.length + 4, 1);
  const batched = Math.max(1, Math.min(BATCH * 4, Math.floor((1 << 18) / frame.length)));
  const joined = Buffer.concat(Array.from({ length: batched }, () => frame));
  while (performance.now() < until) {
    for (const socket of sockets) {
      let open = true;
      if (task.way === 'socket batch') {
        // Laying the frames together is part of the work.
        joined.set(frame, 0);
        open = socket.write(Buffer.from(joined));
      } else for (let i = 0; i < 32; i++) open = socket.write(Buffer.from(frame));
      if (!open) await once(socket, 'drain');
    }
  }
  for (const socket of sockets) socket.end();
}

/** One end of a round trip. @param {Task} task */
async function answer(task) {
  if (task.way.startsWith('socket')) {
    const server = createServer((socket) => socket.pipe(socket));
    server.listen(task.name);
    await once(server, 'listening');
  } else {
    const requests = openChannel(task, ConnMode.RECEIVER);
    const replies = openChannel(task, ConnMode.SENDER, '.back');
    void answerAwaiting(requests, replies);
  }
  tell({ ready: true });
}

/** @param {IPCChannel} requests @param {IPCChannel} replies */
async function answerAwaiting(requests, replies) {
  for await (const data of requests) replies.trySend(data);
}

/** @param {Task} task */
async function ask(task) {
  const payload = Buffer.alloc(task.bytes, 1);
  /** @type {() => Promise<unknown>} */
  let trip;
  if (task.way.startsWith('socket')) {
    const socket = connect(task.name);
    await once(socket, 'connect');
    trip = async () => {
      socket.write(payload);
      await once(socket, 'data');
    };
  } else {
    const replies = openChannel(task, ConnMode.RECEIVER, '.back');
    const requests = openChannel(task, ConnMode.SENDER);
    await requests.waitForReceivers(1, { timeoutMs: 20_000 });
    trip = async () => {
      requests.trySend(payload);
      await replies.receive();
    };
  }
  const until = performance.now() + task.seconds * 1000;
  for (let i = 0; i < 200; i++) await trip();
  const times = [];
  while (performance.now() < until) {
    const start = performance.now();
    await trip();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => times[Math.floor((times.length - 1) * share)];
  tell({ p50: at(0.5), p99: at(0.99), trips: times.length });
}

/** What a receiver costs that waits for nothing. @param {Task} task */
async function idle(task) {
  const channel = openChannel(task, ConnMode.RECEIVER);
  channel.onMessage(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = process.cpuUsage();
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, task.seconds * 1000));
  const used = process.cpuUsage(before);
  tell({ cpuPercent: (used.user + used.system) / 10 / (performance.now() - start) });
}

process.once('message', (/** @type {Task} */ task) => {
  void { send, receive, ask, answer, idle }[task.role](task);
});
