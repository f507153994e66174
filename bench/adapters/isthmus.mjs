// @ts-check
// Isthmus as its users have it: what `npm run build` has put into dist. Requests are answered by a handler in the
// server; one-way direct is a publish that the server's own handler receives; forwarded, a publish through the
// server to subscribers; direct fan-out, a publish of the server itself. Backpressure is the library's credit.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** @typedef {import('./adapter.mjs').Setting} Setting */

/** A second build may be compared with the first in the same rounds: its folder is named here. */
const OTHER = process.env['ISTHMUS_OTHER'];

/** @param {string} variant */
const dist = (variant) =>
  variant === 'other' && OTHER !== undefined
    ? pathToFileURL(`${resolve(OTHER)}/`)
    : new URL('../../dist/', import.meta.url);
const APPLICATION = 'bench';
const MOST_CONNECTIONS = 10_000;

/**
 * @param {string} variant
 * @returns {Promise<typeof import('../../src/server/index.ts')>}
 */
const loadServer = (variant) => import(new URL('server/index.js', dist(variant)).href);

/**
 * @param {string} variant
 * @returns {Promise<typeof import('../../src/client/index.ts')>}
 */
const loadClient = (variant) => import(new URL('client/index.js', dist(variant)).href);

/** @param {Setting} setting */
async function connect({ variant, transport, path, host, port }) {
  const { IPCClient } = await loadClient(variant);
  const address = {
    unix: { path },
    tcp: { host, port },
    websocket: { url: `ws://${host}:${port}/isthmus` },
    stdio: {},
  };
  const client = new IPCClient(APPLICATION, { ...address[transport], reconnect: false });
  await client.connect();
  return client;
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [
    { name: 'isthmus', variant: 'default' },
    ...(OTHER === undefined ? [] : [{ name: 'isthmus-other', variant: 'other', note: OTHER }]),
  ],
  transports: ['unix', 'tcp', 'websocket'],
  works: { request: ['direct'], oneway: ['direct', 'forwarded'], fanout: ['direct', 'forwarded'], idle: ['direct'] },
  version: async () => {
    try {
      await loadServer('default');
    } catch (error) {
      throw new Error('not built: npm run build', { cause: error });
    }
    const manifest = new URL('../../package.json', import.meta.url);
    return JSON.parse(await readFile(manifest, 'utf8')).version;
  },

  async serve(setting, receive) {
    const { IPCServer } = await loadServer(setting.variant);
    const { transport, path, host, port } = setting;
    const address = transport === 'unix' ? { path } : { host, port };
    const server = new IPCServer({ ...address, maxConnections: MOST_CONNECTIONS });
    const application = server.createApplication(APPLICATION);
    application.createChannel('echo').setHandler('request', (message) => message.payload);
    const channel = application.createChannel('message');
    if (setting.work === 'oneway' && setting.topology === 'direct') {
      channel.setHandler('publish', (message) => {
        const payload = /** @type {Buffer} */ (message.payload);
        receive(payload, 0, payload.length);
      });
    }
    await server.start();
    return {
      port: server.port,
      sender: {
        send(payload) {
          const published = channel.publish(payload);
          return published.blocked ? published.ready() : undefined;
        },
        close: () => undefined,
      },
      close: () => server.stop(),
    };
  },

  async requester(setting) {
    const client = await connect(setting);
    /**
     * @param {import('./adapter.mjs').Payload} payload
     * @param {(reply: import('./adapter.mjs').Payload) => void} done
     */
    const ask = async (payload, done) => done(/** @type {Buffer} */ (await client.call('echo', payload)));
    return {
      request: (payload, done) => void ask(payload, done),
      close: () => client.disconnect(),
    };
  },

  async sender(setting) {
    const client = await connect(setting);
    const sendLater = async (/** @type {import('./adapter.mjs').Payload} */ payload) => {
      do await client.publishReady('message');
      while (!client.tryPublish('message', payload));
    };
    return {
      send: (payload) => (client.tryPublish('message', payload) ? undefined : sendLater(payload)),
      close: () => client.disconnect(),
    };
  },

  async receiver(setting, receive) {
    const client = await connect(setting);
    await client.subscribe('message', (message) => {
      const payload = /** @type {Buffer} */ (message.payload);
      receive(payload, 0, payload.length);
    });
    return { close: () => client.disconnect() };
  },

  async idle(setting) {
    const client = await connect(setting);
    return { close: () => client.disconnect() };
  },
};
