// @ts-check
// Socket.IO over WebSocket only, with bytes and with strings. It has no backpressure: the harness bounds what is
// under way. Its limit for a message, below 1 MiB by default, is raised.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { packageVersion } from './installed.mjs';

const LARGEST_BYTES = 100_000_000;
const RECEIVERS = 'receivers';

/**
 * @param {import('./adapter.mjs').Setting} setting
 * @param {'sender' | 'receiver'} role
 */
async function connect(setting, role) {
  const { io } = await import('socket.io-client');
  const socket = io(`http://${setting.host}:${setting.port}`, {
    transports: ['websocket'],
    query: { role },
    forceNew: true,
    reconnection: false,
  });
  await new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(undefined));
    socket.once('connect_error', reject);
  });
  return socket;
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [
    { name: 'socket.io', variant: 'bytes', note: 'Buffers' },
    { name: 'socket.io-strings', variant: 'text', note: 'strings' },
  ],
  transports: ['websocket'],
  works: { request: ['direct'], oneway: ['direct', 'forwarded'], fanout: ['direct', 'forwarded'], idle: ['direct'] },
  paced: () => true,
  payload: (variant) => (variant === 'text' ? 'text' : 'bytes'),
  version: async () => {
    await import('socket.io-client');
    return packageVersion('socket.io');
  },

  async serve(setting, receive) {
    const { Server } = await import('socket.io');
    const http = createServer();
    const server = new Server(http, { transports: ['websocket'], maxHttpBufferSize: LARGEST_BYTES });
    server.on('connection', (socket) => {
      if (socket.handshake.query['role'] === 'receiver') void socket.join(RECEIVERS);
      else if (setting.work === 'request') socket.on('echo', (payload, reply) => reply(payload));
      else if (setting.topology === 'direct') socket.on('message', (payload) => receive(payload, 0, payload.length));
      else socket.on('message', (payload) => server.to(RECEIVERS).emit('message', payload));
    });
    http.listen(setting.port, setting.host);
    await once(http, 'listening');
    const address = http.address();
    return {
      port: typeof address === 'object' && address !== null ? address.port : 0,
      sender: {
        send: (payload) => void server.to(RECEIVERS).emit('message', payload),
        close: () => undefined,
      },
      close: () => server.close(),
    };
  },

  async requester(setting) {
    const socket = await connect(setting, 'sender');
    return {
      request: (payload, done) => void socket.emit('echo', payload, done),
      close: () => void socket.close(),
    };
  },

  async sender(setting) {
    const socket = await connect(setting, 'sender');
    return {
      send: (payload) => void socket.emit('message', payload),
      close: () => void socket.close(),
    };
  },

  async receiver(setting, receive) {
    const socket = await connect(setting, 'receiver');
    socket.on('message', (payload) => receive(payload, 0, payload.length));
    return { close: () => void socket.close() };
  },

  async idle(setting) {
    const socket = await connect(setting, 'receiver');
    return { close: () => void socket.close() };
  },
};
