// @ts-check
// ws: WebSocket without anything above it. Requests are matched by order. `ws` has its native masking helper,
// `ws-pure` not.

import { once } from 'node:events';
import { packageVersion } from './installed.mjs';

/** @typedef {import('./adapter.mjs').Setting} Setting */
/** @typedef {import('ws').WebSocket} Socket */

const WAIT_FROM_BYTES = 256 * 1024;

/**
 * @param {Socket} socket
 * @param {Buffer} payload
 * @returns {void | Promise<unknown>}
 */
function send(socket, payload) {
  if (socket.bufferedAmount < WAIT_FROM_BYTES) return socket.send(payload);
  return new Promise((resolve) => socket.send(payload, resolve));
}

/**
 * @param {Iterable<Socket>} sockets
 * @param {Buffer} payload
 */
function sendAll(sockets, payload) {
  /** @type {Promise<unknown>[] | undefined} */
  let waits;
  for (const socket of sockets) {
    const wait = send(socket, payload);
    if (wait !== undefined) {
      waits ??= [];
      waits.push(wait);
    }
  }
  return waits === undefined ? undefined : Promise.all(waits);
}

/**
 * @param {Setting} setting
 * @param {'sender' | 'receiver'} role
 */
async function connect(setting, role) {
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(`ws://${setting.host}:${setting.port}/${role}`, { perMessageDeflate: false });
  await once(socket, 'open');
  return socket;
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [
    { name: 'ws', variant: 'bufferutil', note: 'with bufferutil' },
    { name: 'ws-pure', variant: 'pure', note: 'without bufferutil' },
  ],
  transports: ['websocket'],
  works: { request: ['direct'], oneway: ['direct', 'forwarded'], fanout: ['direct', 'forwarded'], idle: ['direct'] },
  version: async () => {
    await import('ws');
    return packageVersion('ws');
  },

  async serve(setting, receive) {
    const { WebSocketServer } = await import('ws');
    const server = new WebSocketServer({ host: setting.host, port: setting.port });
    await once(server, 'listening');
    /** @type {Set<Socket>} */
    const receivers = new Set();
    server.on('connection', (socket, request) => {
      socket.on('error', () => socket.terminate());
      if (setting.work === 'request') socket.on('message', (data) => socket.send(data));
      else if (request.url === '/receiver') receivers.add(socket);
      else if (setting.topology === 'direct') {
        socket.on('message', (/** @type {Buffer} */ data) => receive(data, 0, data.length));
      } else {
        socket.on('message', (/** @type {Buffer} */ data) => {
          const wait = sendAll(receivers, data);
          if (wait === undefined) return;
          socket.pause();
          void wait.then(() => socket.resume());
        });
      }
    });
    const address = server.address();
    return {
      port: typeof address === 'object' && address !== null ? address.port : 0,
      sender: { send: (/** @type {Buffer} */ payload) => sendAll(receivers, payload), close: () => undefined },
      close() {
        for (const client of server.clients) client.terminate();
        server.close();
      },
    };
  },

  async requester(setting) {
    const socket = await connect(setting, 'sender');
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    socket.on('message', (/** @type {Buffer} */ data) => waiting.shift()?.(data));
    return {
      request(/** @type {Buffer} */ payload, done) {
        waiting.push(done);
        socket.send(payload);
      },
      close: () => socket.terminate(),
    };
  },

  async sender(setting) {
    const socket = await connect(setting, 'sender');
    return { send: (/** @type {Buffer} */ payload) => send(socket, payload), close: () => socket.terminate() };
  },

  async receiver(setting, receive) {
    const socket = await connect(setting, 'receiver');
    socket.on('message', (/** @type {Buffer} */ data) => receive(data, 0, data.length));
    return { close: () => socket.terminate() };
  },

  async idle(setting) {
    const socket = await connect(setting, 'receiver');
    return { close: () => socket.terminate() };
  },
};
