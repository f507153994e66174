// @ts-check
// ZeroMQ: dealer to router for requests, push to pull one-way, publisher to subscribers. A publisher drops what goes
// beyond its high-water mark; here the mark is lifted and the harness bounds what is under way, so nothing is lost.

import { packageVersion } from './installed.mjs';

/** Of a process; 1,023 by default. */
const MOST_SOCKETS = 20_000;

/** @param {import('./adapter.mjs').Setting} setting */
const endpoint = (setting) =>
  setting.transport === 'unix'
    ? `ipc://${setting.path}`
    : `tcp://${setting.host}:${setting.port === 0 ? '*' : setting.port}`;

/** @param {string | null} bound */
const portOf = (bound) => Number(/:(\d+)$/.exec(bound ?? '')?.[1] ?? 0);

/**
 * @param {AsyncIterable<Buffer[]>} socket
 * @param {import('./adapter.mjs').Receive} receive
 */
async function readAll(socket, receive) {
  for await (const [message] of socket) if (message !== undefined) receive(message, 0, message.length);
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [{ name: 'zeromq', variant: 'default' }],
  transports: ['unix', 'tcp'],
  works: { request: ['direct'], oneway: ['direct'], fanout: ['direct'], idle: ['direct'] },
  paced: (_variant, work) => work === 'fanout',
  version: async () => {
    const { version } = await import('zeromq');
    return `${await packageVersion('zeromq')} with libzmq ${version}`;
  },

  async serve(setting, receive) {
    const { Pull, Router, XPublisher } = await import('zeromq');
    if (setting.work === 'fanout') {
      const socket = new XPublisher({ sendHighWaterMark: 0, verbosity: 'allSubs' });
      await socket.bind(endpoint(setting));
      let ready = false;
      const everybody = (async () => {
        for (let seen = 0; seen < setting.subscribers; seen++) await socket.receive();
        ready = true;
      })();
      return {
        port: portOf(socket.lastEndpoint),
        sender: {
          send: (/** @type {Buffer} */ payload) =>
            ready ? socket.send(payload) : everybody.then(() => socket.send(payload)),
          close: () => undefined,
        },
        close: () => socket.close(),
      };
    }
    if (setting.work === 'oneway') {
      const socket = new Pull();
      await socket.bind(endpoint(setting));
      void readAll(socket, receive);
      return { port: portOf(socket.lastEndpoint), close: () => socket.close() };
    }
    const socket = new Router();
    await socket.bind(endpoint(setting));
    void (async () => {
      for await (const parts of socket) await socket.send(parts);
    })();
    return { port: portOf(socket.lastEndpoint), close: () => socket.close() };
  },

  async requester(setting) {
    const { Dealer } = await import('zeromq');
    const socket = new Dealer();
    socket.connect(endpoint(setting));
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    /** @type {import('./adapter.mjs').Payload[]} */
    const unsent = [];
    let sending = false;
    // A socket takes one send at a time.
    const sendAll = async () => {
      sending = true;
      for (let next = unsent.shift(); next !== undefined; next = unsent.shift()) await socket.send(next);
      sending = false;
    };
    void readAll(socket, (reply) => waiting.shift()?.(reply));
    return {
      request(/** @type {Buffer} */ payload, done) {
        waiting.push(done);
        unsent.push(payload);
        if (!sending) void sendAll();
      },
      close: () => socket.close(),
    };
  },

  async sender(setting) {
    const { Push } = await import('zeromq');
    const socket = new Push();
    socket.connect(endpoint(setting));
    return { send: (/** @type {Buffer} */ payload) => socket.send(payload), close: () => socket.close() };
  },

  async receiver(setting, receive) {
    const { Subscriber } = await import('zeromq');
    const socket = new Subscriber({ receiveHighWaterMark: 0 });
    socket.connect(endpoint(setting));
    socket.subscribe();
    void readAll(socket, receive);
    return { close: () => socket.close() };
  },

  async idle(setting) {
    const { context, Dealer } = await import('zeromq');
    context.maxSockets = MOST_SOCKETS;
    const socket = new Dealer();
    socket.connect(endpoint(setting));
    return { close: () => socket.close() };
  },
};
