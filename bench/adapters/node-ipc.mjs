// @ts-check
// node-ipc with its default parser. It carries JSON, which would make objects of numbers out of bytes, so payloads
// are strings. Requests are matched by order. Its limit of 100 connections is raised.

import { freePort, packageVersion } from './installed.mjs';

const HUB = 'hub';
const MOST_CONNECTIONS = 10_000;

/** @param {import('./adapter.mjs').Setting} setting */
async function newIpc(setting) {
  const { IPCModule } = await import('node-ipc');
  const ipc = new IPCModule();
  ipc.config.id = HUB;
  ipc.config.silent = true;
  ipc.config.socketRoot = `${setting.directory}/`;
  ipc.config.maxConnections = MOST_CONNECTIONS;
  ipc.config.stopRetrying = true;
  return ipc;
}

/** @param {import('./adapter.mjs').Setting} setting */
async function connect(setting) {
  const ipc = await newIpc(setting);
  if (setting.transport === 'unix') ipc.connectTo(HUB, setting.path);
  else ipc.connectToNet(HUB, setting.host, setting.port);
  const hub = ipc.of[HUB];
  if (hub === undefined) throw new Error('node-ipc did not connect');
  await new Promise((resolve, reject) => {
    hub.on('connect', () => resolve(undefined));
    hub.on('error', reject);
  });
  // The hub answers once it has noted the connection.
  await new Promise((resolve) => {
    hub.on('noted', () => resolve(undefined));
    hub.emit('hello');
  });
  return { hub, close: () => ipc.disconnect(HUB) };
}

/** @param {import('node:net').Socket} socket */
const drained = (socket) => new Promise((resolve) => socket.once('drain', resolve));

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [{ name: 'node-ipc', variant: 'text', note: 'strings' }],
  transports: ['unix', 'tcp'],
  works: { request: ['direct'], oneway: ['direct'], fanout: ['direct'], idle: ['direct'] },
  payload: () => 'text',
  version: async () => {
    await import('node-ipc');
    return packageVersion('node-ipc');
  },

  async serve(setting, receive) {
    const ipc = await newIpc(setting);
    const port = setting.transport === 'tcp' ? await freePort() : 0;
    const started = new Promise((resolve) => {
      if (setting.transport === 'unix') ipc.serve(setting.path, () => resolve(undefined));
      else ipc.serveNet(setting.host, port, () => resolve(undefined));
    });
    const { server } = ipc;
    server.on('hello', (_data, socket) => server.emit(socket, 'noted'));
    server.on('echo', (data, socket) => server.emit(socket, 'echo', data));
    server.on('message', (data) => receive(data, 0, data.length));
    server.start();
    await started;
    return {
      port,
      sender: {
        send(payload) {
          if (server.broadcast('message', payload)) return undefined;
          const full = server.sockets.filter((one) => one.writableNeedDrain);
          return Promise.all(full.map(drained));
        },
        close: () => undefined,
      },
      close: () => server.stop(),
    };
  },

  async requester(setting) {
    const { hub, close } = await connect(setting);
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    hub.on('echo', (data) => waiting.shift()?.(data));
    return {
      request(payload, done) {
        waiting.push(done);
        hub.emit('echo', payload);
      },
      close,
    };
  },

  async sender(setting) {
    const { hub, close } = await connect(setting);
    return {
      send: (payload) => (hub.emit('message', payload) ? undefined : drained(hub.socket)),
      close,
    };
  },

  async receiver(setting, receive) {
    const { hub, close } = await connect(setting);
    hub.on('message', (data) => receive(data, 0, data.length));
    return { close };
  },

  idle: connect,
};
