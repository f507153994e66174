// @ts-check
// Redis publish/subscribe through ioredis, with automatic pipelining (faster than without). A request is a publish
// that a responder answers with a publish; replies are matched by order. Publishing has no backpressure: the harness
// bounds what is under way.

import { eventually, freePort, packageVersion, programVersion, startProgram } from './installed.mjs';

/** @param {import('./adapter.mjs').Setting} setting */
async function connect(setting) {
  const { Redis } = await import('ioredis');
  const target = setting.transport === 'unix' ? { path: setting.path } : { host: setting.host, port: setting.port };
  const redis = new Redis({ ...target, lazyConnect: true, enableAutoPipelining: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  await redis.connect();
  return redis;
}

/**
 * @param {import('./adapter.mjs').Setting} setting
 * @param {string} channel
 * @param {(message: Buffer) => void} receive
 */
async function subscribe(setting, channel, receive) {
  const redis = await connect(setting);
  redis.on('messageBuffer', (_channel, message) => receive(message));
  await redis.subscribe(channel);
  return redis;
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [{ name: 'redis', variant: 'pubsub', note: 'publish/subscribe' }],
  transports: ['unix', 'tcp'],
  works: { request: ['direct'], oneway: ['forwarded'], fanout: ['forwarded'], idle: ['direct'] },
  broker: true,
  paced: () => true,
  version: async () => {
    const server = await programVersion('redis-server');
    await import('ioredis');
    return `redis-server ${server}, ioredis ${await packageVersion('ioredis')}`;
  },

  async serve(setting) {
    const port = setting.transport === 'tcp' ? await freePort() : 0;
    const where = setting.transport === 'tcp' ? ['--bind', setting.host] : ['--unixsocket', setting.path];
    const quiet = ['--save', '', '--appendonly', 'no', '--dir', setting.directory];
    const program = await startProgram('redis-server', ['--port', String(port), ...where, ...quiet]);
    const probe = await eventually(() => connect({ ...setting, port }));
    probe.disconnect();
    const hub = { port, pid: program.pid ?? 0 };
    if (setting.work !== 'request') return { ...hub, close: () => void program.kill() };
    const publisher = await connect({ ...setting, port });
    const responder = await subscribe(
      { ...setting, port },
      'echo',
      (message) => void publisher.publish('reply', message),
    );
    return {
      ...hub,
      close() {
        responder.disconnect();
        publisher.disconnect();
        program.kill();
      },
    };
  },

  async requester(setting) {
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    const publisher = await connect(setting);
    const replies = await subscribe(setting, 'reply', (message) => waiting.shift()?.(message));
    return {
      request(/** @type {Buffer} */ payload, done) {
        waiting.push(done);
        void publisher.publish('echo', payload);
      },
      close() {
        publisher.disconnect();
        replies.disconnect();
      },
    };
  },

  async sender(setting) {
    const publisher = await connect(setting);
    return {
      send: (/** @type {Buffer} */ payload) => void publisher.publish('message', payload),
      close: () => publisher.disconnect(),
    };
  },

  async receiver(setting, receive) {
    const redis = await subscribe(setting, 'message', (message) => receive(message, 0, message.length));
    return { close: () => redis.disconnect() };
  },

  async idle(setting) {
    const redis = await connect(setting);
    return { close: () => redis.disconnect() };
  },
};
