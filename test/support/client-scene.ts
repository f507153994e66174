// A server with a few handlers, and clients that are disconnected with it: what tests of the client begin
// with.

import { type ClientOptions, IPCClient, IPCError, type Message } from '../../src/client/index.ts';
import { IPCServer, type ServerOptions } from '../../src/server/index.ts';
import { REQUEST_TIMEOUT_MS } from './broker-at-work.ts';
import { socketPath } from './socket-path.ts';

export interface Scene extends AsyncDisposable {
  readonly server: IPCServer;
  readonly path: string;
  /** Connected; disconnected when the scene ends. */
  client(options?: ClientOptions): Promise<IPCClient>;
  /** A new server at the same address, after the first was stopped. */
  again(): Promise<IPCServer>;
}

export function furnish(server: IPCServer): IPCServer {
  const shop = server.createApplication('shop');
  shop.createChannel('sum').setHandler('request', (message: Message) => {
    return (message.payload as number[]).reduce((a, b) => a + b, 0);
  });
  shop.createChannel('fail').setHandler('request', () => {
    throw new Error('no luck');
  });
  shop.createChannel('count').setHandler('request', async function* (message: Message) {
    for (let i = 0; i < (message.payload as number); i += 1) yield { i };
  });
  return server;
}

export async function scene(options: ServerOptions = {}): Promise<Scene> {
  const { path, remove } = socketPath();
  const servers = [furnish(new IPCServer({ path, ...options }))];
  const clients: IPCClient[] = [];
  await servers[0]?.start();
  return {
    server: servers[0] as IPCServer,
    path,
    async client(clientOptions = {}) {
      const client = new IPCClient('shop', { path, requestTimeout: REQUEST_TIMEOUT_MS, ...clientOptions });
      clients.push(client);
      await client.connect();
      return client;
    },
    async again() {
      const server = furnish(new IPCServer({ path, ...options }));
      servers.push(server);
      await server.start();
      return server;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.disconnect()));
      await Promise.all(servers.map((server) => server.stop()));
      remove();
    },
  };
}

/** For `assert.rejects`: an error of this code. */
export const coded = (code: string) => (error: unknown) => error instanceof IPCError && error.code === code;

/** Resolves with the arguments of the next event. */
export function once<A extends readonly unknown[]>(listen: (listener: (...args: A) => void) => () => void): Promise<A> {
  return new Promise((resolve) => {
    const stop = listen((...args) => {
      stop();
      resolve(args);
    });
  });
}
