// @ts-check
// NATS: nats-server between the processes, its Node client on both sides. Publishing has no backpressure: the
// harness bounds what is under way.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, packageVersion, programVersion, startProgram } from './installed.mjs';

const REQUEST_TIMEOUT_MS = 30_000;

/** @param {import('./adapter.mjs').Setting} setting */
async function connect(setting) {
  const { connect: open } = await import('@nats-io/transport-node');
  return open({ servers: `${setting.host}:${setting.port}`, reconnect: false });
}

/** @param {string} directory where the server writes which ports it has */
async function portIn(directory) {
  const file = (await readdir(directory)).find((name) => name.endsWith('.ports'));
  if (file === undefined) throw new Error('nats-server did not start');
  const { nats } = JSON.parse(await readFile(join(directory, file), 'utf8'));
  return Number(new URL(nats[0]).port);
}

/**
 * @param {import('@nats-io/transport-node').NatsConnection} connection
 * @param {import('./adapter.mjs').Payload} payload
 * @param {(reply: Buffer) => void} done
 */
async function ask(connection, payload, done) {
  const { data } = await connection.request('echo', payload, { timeout: REQUEST_TIMEOUT_MS });
  done(/** @type {Buffer} */ (data));
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [{ name: 'nats', variant: 'default' }],
  transports: ['tcp'],
  works: { request: ['direct'], oneway: ['forwarded'], fanout: ['forwarded'], idle: ['direct'] },
  broker: true,
  paced: () => true,
  version: async () => {
    const server = await programVersion('nats-server');
    await import('@nats-io/transport-node');
    return `nats-server ${server}, @nats-io/transport-node ${await packageVersion('@nats-io/transport-node')}`;
  },

  async serve(setting) {
    const parameters = ['-a', setting.host, '-p', '-1', '--ports_file_dir', setting.directory];
    const program = await startProgram('nats-server', parameters);
    const port = await eventually(() => portIn(setting.directory));
    const hub = { port, pid: program.pid ?? 0 };
    if (setting.work !== 'request') return { ...hub, close: () => void program.kill() };
    const responder = await connect({ ...setting, port });
    responder.subscribe('echo', { callback: (_error, message) => void message.respond(message.data) });
    await responder.flush();
    return {
      ...hub,
      async close() {
        await responder.close();
        program.kill();
      },
    };
  },

  async requester(setting) {
    const connection = await connect(setting);
    return {
      request(payload, done) {
        void ask(connection, payload, done);
      },
      close: () => connection.close(),
    };
  },

  async sender(setting) {
    const connection = await connect(setting);
    return { send: (payload) => connection.publish('message', payload), close: () => connection.close() };
  },

  async receiver(setting, receive) {
    const connection = await connect(setting);
    connection.subscribe('message', {
      callback: (_error, { data }) => receive(/** @type {Buffer} */ (data), 0, data.length),
    });
    await connection.flush();
    return { close: () => connection.close() };
  },

  async idle(setting) {
    const connection = await connect(setting);
    return { close: () => connection.close() };
  },
};
