// @ts-check
// One process of the shared-memory benchmark: a sender, a receiver, or one end of a round trip, over the
// ring or over a Unix socket. Told what to do by the message that starts it; answers with figures.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { ChannelType, ConnMode, IPCChannel } from '../../dist/shm/index.js';
import { receiveBuffers, receiveFrames, sendFrames } from './socket.mjs';

/**
 * @typedef {object} Task
 * @property {'send' | 'receive' | 'ask' | 'answer' | 'idle'} role
 * @property {string} way one of the ways of run.mjs
 * @property {string} name of the channel, or of the socket
 * @property {number} bytes
 * @property {number} seconds
 * @property {number} receivers
 * @property {number} senders
 * @property {'sleep' | 'spin' | 'busy'} wait
 * @property {number} capacityBytes
 */

const BATCH = 128;
const WARM_MS = 400;
/** @param {object} message */
const tell = (message) => process.send?.(message);
const cpuMicros = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
let stopped = false;
process.on('message', (message) => {
  if (message === 'stop') stopped = true;
});

/** @param {Task} task @param {ConnMode} mode @param {string} [suffix] */
function openChannel(task, mode, suffix = '') {
  const type = task.senders > 1 ? ChannelType.CHANNEL : ChannelType.ROUTE;
  const { wait, capacityBytes } = task;
  return new IPCChannel(type, task.name + suffix, mode, { wait, capacityBytes });
}

/** Counts messages in a window of time after a while of warming up, and all of them. */
class Meter {
  #count = 0;
  #began = 0;
  #counted = 0;
  #cpu = 0;
  #done = false;
  /** @param {Task} task */
  constructor(task) {
    this.#windowMs = task.seconds * 1000;
    this.#bytes = task.bytes;
    this.#look = task.bytes >= 65_536 ? 1 : 64;
    process.on('message', (message) => {
      if (message === 'count') tell({ all: this.#count });
    });
  }
  #windowMs;
  #bytes;
  #look;

  /** @param {number} bytes @param {number} first @param {number} last */
  add(bytes, first, last) {
    if (bytes !== this.#bytes || (bytes > 0 && (first !== 1 || last !== 1))) throw new Error('not what was sent');
    if (++this.#count % this.#look !== 0 || this.#done) return;
    const now = performance.now();
    if (this.#began === 0) this.#began = now + WARM_MS;
    else if (now < this.#began) return;
    else if (this.#cpu === 0) {
      this.#cpu = cpuMicros();
      this.#began = now;
      this.#counted = this.#count;
    } else if (now - this.#began >= this.#windowMs) {
      this.#done = true;
      const ms = now - this.#began;
      const count = this.#count - this.#counted;
      tell({ rate: (count / ms) * 1000, cpuPerSecond: ((cpuMicros() - this.#cpu) / ms) * 1000 });
    }
  }
  /** @param {Uint8Array} data */
  addData = (data) => this.add(data.length, data[0] ?? -1, data[data.length - 1] ?? -1);
}

/** @param {Task} task */
async function receive(task) {
  const meter = new Meter(task);
  if (task.way === 'socket, batched, owned') {
    await receiveBuffers(task.name, meter.addData);
  } else if (task.way.startsWith('socket')) {
    await receiveFrames(task.name, (bytes, first, last) => meter.add(bytes, first, last));
  } else {
    const channel = openChannel(task, ConnMode.RECEIVER);
    const how = task.way.split(', ').at(-1);
    if (how === 'await') void receiveAwaiting(channel, meter);
    else if (how === 'for await') void receiveIterating(channel, meter);
    else if (how === 'receiveInto') void receiveInto(channel, meter, task.bytes);
    else if (how === 'views') void receiveViews(channel, meter);
    else channel.onMessage(meter.addData, { borrow: how === 'borrowed' });
  }
  tell({ ready: true });
}

/** @param {IPCChannel} channel @param {Meter} meter */
async function receiveAwaiting(channel, meter) {
  for (;;) meter.addData(await channel.receive());
}

/** @param {IPCChannel} channel @param {Meter} meter */
async function receiveIterating(channel, meter) {
  for await (const data of channel) meter.addData(data);
}

/** @param {IPCChannel} channel @param {Meter} meter @param {number} bytes */
async function receiveInto(channel, meter, bytes) {
  const place = Buffer.alloc(bytes + 1);
  for (;;) {
    const got = await channel.receiveInto(place);
    meter.add(got, place[0] ?? -1, place[got - 1] ?? -1);
  }
}

/** @param {IPCChannel} channel @param {Meter} meter */
async function receiveViews(channel, meter) {
  for (;;) {
    const view = await channel.receiveView();
    meter.addData(view.data);
    view.release();
  }
}

/** @param {Task} task */
async function send(task) {
  const payload = Buffer.alloc(task.bytes, 1);
  const start = performance.now();
  const cpu = cpuMicros();
  let turned = start;
  const goesOn = async () => {
    // The word to stop comes through the event loop.
    if (performance.now() - turned > 20) {
      await turn();
      turned = performance.now();
    }
    return !stopped;
  };
  let sent = 0;
  if (task.way.startsWith('socket')) {
    const paths = Array.from({ length: task.receivers }, (_, i) => `${task.name}.${i}`);
    sent = await sendFrames(paths, payload, task.way.startsWith('socket, batched'), goesOn);
  } else {
    const channel = openChannel(task, ConnMode.SENDER);
    await channel.waitForReceivers(task.receivers, { timeoutMs: 30_000 });
    const batch = Array.from({ length: BATCH }, () => payload);
    const rounds = task.bytes < 65_536 ? BATCH : 4;
    const many = !task.way.includes('single') && task.bytes <= 16_384;
    for (; await goesOn(); sent += many ? BATCH : rounds) {
      if (many) await channel.sendMany(batch);
      else for (let i = 0; i < rounds; i++) if (!channel.trySend(payload)) await channel.send(payload);
    }
  }
  tell({ sent, cpuPerSecond: ((cpuMicros() - cpu) / (performance.now() - start)) * 1000 });
}

/** One end of a round trip. @param {Task} task */
async function answer(task) {
  if (task.way.startsWith('socket')) {
    const server = createServer((socket) => {
      socket.on('data', (data) => socket.write(data));
      socket.on('error', () => undefined);
    });
    server.listen(task.name);
    await once(server, 'listening');
  } else {
    const requests = openChannel(task, ConnMode.RECEIVER);
    const replies = openChannel(task, ConnMode.SENDER, '.back');
    requests.onMessage((data) => replies.trySend(data));
  }
  tell({ ready: true });
}

/** @param {Task} task @returns {Promise<() => Promise<unknown>>} */
async function tripOf(task) {
  const payload = Buffer.alloc(task.bytes, 1);
  if (task.way.startsWith('socket')) {
    const socket = connect(task.name);
    await once(socket, 'connect');
    let got = () => {};
    socket.on('data', () => got());
    return () =>
      new Promise((resolve) => {
        got = () => resolve(undefined);
        socket.write(payload);
      });
  }
  const replies = openChannel(task, ConnMode.RECEIVER, '.back');
  const requests = openChannel(task, ConnMode.SENDER);
  await requests.waitForReceivers(1, { timeoutMs: 30_000 });
  return () => {
    requests.trySend(payload);
    return replies.receive();
  };
}

/** @param {Task} task */
async function ask(task) {
  const trip = await tripOf(task);
  for (const warm = performance.now() + WARM_MS; performance.now() < warm; ) await trip();
  /** @type {number[]} */
  const times = [];
  for (const until = performance.now() + task.seconds * 1000; performance.now() < until; ) {
    const start = performance.now();
    await trip();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => times[Math.floor((times.length - 1) * share)];
  tell({ p50: at(0.5), p99: at(0.99) });
}

/** What `receivers` channels cost that wait for nothing. @param {Task} task */
async function idle(task) {
  const channels = Array.from({ length: task.receivers }, (_, i) => openChannel(task, ConnMode.RECEIVER, `.${i}`));
  for (const channel of channels) channel.onMessage(() => undefined);
  await pause(1000);
  const before = cpuMicros();
  const start = performance.now();
  await pause(task.seconds * 1000);
  tell({ percent: (cpuMicros() - before) / 10 / (performance.now() - start) });
  for (const channel of channels) channel.close();
}

process.once('message', (/** @type {Task} */ task) => {
  void { send, receive, ask, answer, idle }[task.role](task);
});
