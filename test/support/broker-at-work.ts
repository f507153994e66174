// A server and its clients for a test: all of it is closed when the test ends, and the end is proven.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type ClientOptions, IPCClient } from '../../src/client/index.ts';
import { IPCError } from '../../src/base/errors.ts';
import { IPCServer, type ServerApplication, type ServerOptions } from '../../src/server/index.ts';
import { socketPath } from './socket-path.ts';

export const TRANSPORTS = ['tcp', 'unix', 'websocket'] as const;
export type TestTransport = (typeof TRANSPORTS)[number];

/** No request that is answered takes so long, on however busy a machine; one that is not fails with a clear word. */
export const REQUEST_TIMEOUT_MS = 60_000;

export interface AtWork {
  readonly server: IPCServer;
  /** The application `test`. */
  readonly app: ServerApplication;
  /** A connected client of the application `test`. */
  client(options?: ClientOptions): Promise<IPCClient>;
  /** Options with which a client reaches the server. */
  readonly address: ClientOptions;
}

/** Starts a server on the transport; server and clients are closed and checked when the test ends. */
export async function atWork(
  t: TestContext,
  transport: TestTransport = 'unix',
  options: ServerOptions = {},
): Promise<AtWork> {
  const { path, remove } = socketPath();
  const server = new IPCServer({ ...(transport === 'unix' ? { path } : { port: 0 }), ...options });
  const clients: IPCClient[] = [];
  await server.start();
  const address: ClientOptions =
    transport === 'unix'
      ? { path }
      : transport === 'tcp'
        ? { port: server.port }
        : { url: `ws://localhost:${server.port}` };
  t.after(async () => {
    await Promise.all(clients.map((client) => client.disconnect()));
    await server.stop();
    remove();
    const { totalConnections, requestsOpen } = server.getStats();
    assert.deepEqual({ totalConnections, requestsOpen }, { totalConnections: 0, requestsOpen: 0 });
    assert.equal(server.connectionManager.getConnectionCount(), 0);
  });
  return {
    server,
    app: server.createApplication('test'),
    address,
    async client(clientOptions = {}) {
      const client = new IPCClient('test', {
        reconnect: false,
        requestTimeout: REQUEST_TIMEOUT_MS,
        ...address,
        ...clientOptions,
      });
      clients.push(client);
      await client.connect();
      return client;
    },
  };
}

/** For `assert.rejects` and `assert.throws`: an `IPCError` with this code. */
export function withCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof IPCError, `an IPCError was expected, not ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  };
}

/** A promise and what settles it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Collects values and lets a test wait until there are enough of them. */
export class Collected<T> {
  readonly values: T[] = [];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly add = (value: T): void => {
    this.values.push(value);
    this.#waiting = this.#waiting.filter(({ count, resolve }) => {
      if (this.values.length < count) return true;
      resolve();
      return false;
    });
  };

  async until(count: number): Promise<readonly T[]> {
    if (this.values.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.values;
  }
}
