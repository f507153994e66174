// @ts-check
// The yardstick: node:net and length-prefixed frames, nothing else. Three hubs: echo, sink, and a forwarder that
// encodes once for all receivers. `floor` writes all frames of a turn at once, `floor-unbatched` each on its own.

import { once } from 'node:events';
import net from 'node:net';
import { FrameReader, FrameWriter, HIGH_WATER_BYTES, UnbatchedWriter } from './framing.mjs';

/** @typedef {import('./adapter.mjs').Setting} Setting */

const SENDER = 1;
const RECEIVER = 2;

/** @param {Setting} setting */
const Writer = (setting) => (setting.variant === 'unbatched' ? UnbatchedWriter : FrameWriter);

/** @param {Setting} setting */
async function connect(setting) {
  const target = setting.transport === 'unix' ? { path: setting.path } : { host: setting.host, port: setting.port };
  /** @type {net.SocketConstructorOpts & import('node:stream').DuplexOptions} */
  const streaming = { writableHighWaterMark: HIGH_WATER_BYTES, readableHighWaterMark: HIGH_WATER_BYTES };
  const socket = new net.Socket(streaming);
  socket.setNoDelay(true);
  socket.connect(target);
  await once(socket, 'connect');
  socket.on('error', () => socket.destroy());
  return socket;
}

/**
 * Says which side of the forwarder this connection is, and waits until the hub has noted it.
 * @param {net.Socket} socket
 * @param {number} role
 */
async function introduce(socket, role) {
  socket.write(Buffer.from([0, 0, 0, 1, role]));
  const [answer] = await once(socket, 'data');
  if (answer[4] !== role) throw new Error('the hub did not confirm the role');
}

/**
 * @param {Setting} setting
 * @param {import('./adapter.mjs').Receive} receive
 * @param {InstanceType<typeof FrameWriter> | UnbatchedWriter} fanout
 * @returns {(socket: net.Socket) => void}
 */
function behaviour(setting, receive, fanout) {
  if (setting.work === 'request') {
    return (socket) => {
      const writer = new (Writer(setting))([socket]);
      const reader = new FrameReader((bytes, start, end) => writer.frame(bytes, start, end));
      socket.on('data', (/** @type {Buffer} */ chunk) => {
        reader.push(chunk);
        writer.flush();
      });
    };
  }
  if (setting.work === 'oneway' && setting.topology === 'direct') {
    return (socket) => {
      const reader = new FrameReader(receive);
      socket.on('data', (/** @type {Buffer} */ chunk) => reader.push(chunk));
    };
  }
  return (socket) => {
    socket.once('data', (hello) => {
      if (hello[4] === RECEIVER) fanout.add(socket);
      else {
        const reader = new FrameReader((bytes, start, end) => fanout.frame(bytes, start, end));
        socket.on('data', (/** @type {Buffer} */ chunk) => {
          reader.push(chunk);
          fanout.flush();
          const wait = fanout.full();
          if (wait === undefined) return;
          socket.pause();
          void wait.then(() => socket.resume());
        });
      }
      socket.write(hello);
    });
  };
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [
    { name: 'floor', variant: 'batched', note: 'net, all frames of a turn in one write' },
    { name: 'floor-unbatched', variant: 'unbatched', note: 'net, one write a frame' },
  ],
  transports: ['unix', 'tcp'],
  works: { request: ['direct'], oneway: ['direct', 'forwarded'], fanout: ['direct', 'forwarded'], idle: ['direct'] },
  version: async () => `node ${process.versions.node}`,

  async serve(setting, receive) {
    const fanout = new (Writer(setting))([]);
    /** @type {Set<net.Socket>} */
    const sockets = new Set();
    const behave = behaviour(setting, receive, fanout);
    const server = net.createServer({ noDelay: true, highWaterMark: HIGH_WATER_BYTES }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
      behave(socket);
    });
    if (setting.transport === 'unix') server.listen(setting.path);
    else server.listen(setting.port, setting.host);
    await once(server, 'listening');
    const address = server.address();
    return {
      port: address !== null && typeof address === 'object' ? address.port : 0,
      sender: {
        send(/** @type {Buffer} */ payload) {
          fanout.frame(payload, 0, payload.length);
          return fanout.full();
        },
        close: () => undefined,
      },
      close() {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    };
  },

  async requester(setting) {
    const socket = await connect(setting);
    const writer = new (Writer(setting))([socket]);
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    const reader = new FrameReader((bytes, start, end) => {
      const done = waiting.shift();
      done?.(bytes.subarray(start, end));
    });
    socket.on('data', (/** @type {Buffer} */ chunk) => {
      reader.push(chunk);
      writer.flush();
    });
    return {
      request(/** @type {Buffer} */ payload, done) {
        waiting.push(done);
        writer.frame(payload, 0, payload.length);
      },
      close: () => void socket.destroy(),
    };
  },

  async sender(setting) {
    const socket = await connect(setting);
    if (setting.topology === 'forwarded') await introduce(socket, SENDER);
    const writer = new (Writer(setting))([socket]);
    return {
      send(/** @type {Buffer} */ payload) {
        writer.frame(payload, 0, payload.length);
        return writer.full();
      },
      close: () => void socket.destroy(),
    };
  },

  async receiver(setting, receive) {
    const socket = await connect(setting);
    await introduce(socket, RECEIVER);
    const reader = new FrameReader(receive);
    socket.on('data', (/** @type {Buffer} */ chunk) => reader.push(chunk));
    return { close: () => void socket.destroy() };
  },

  async idle(setting) {
    const socket = await connect(setting);
    return { close: () => void socket.destroy() };
  },
};
