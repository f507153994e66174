// Where a server listens: one Node server for each address, errors with codes, and Unix sockets that are
// private and never silently truncated or stolen from a live server.

import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { ipcError, type IPCError, toError } from '../base/errors.ts';
import type { Guest, Lobby } from './lobby.ts';

/** One address to listen on, checked and complete. */
export type EndpointAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: TlsOptions }
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number };

/** Node truncates a longer path without a word, and two paths collide. */
const UNIX_PATH_BYTES_MAX = 107;

export class Endpoint {
  readonly address: EndpointAddress;
  readonly #server: Server;
  /** Every stream that came and is not closed yet, TLS greetings that hang included. */
  readonly #sockets = new Set<Socket>();
  readonly #lobby: Lobby;
  readonly #accept: (socket: Socket, guest: Guest) => void;
  /** Whose TLS greeting is not over: a stream and what becomes of it have nothing but their source in common. */
  readonly #greeting = new Map<string, Guest>();

  private constructor(
    address: EndpointAddress,
    server: Server,
    lobby: Lobby,
    accept: (socket: Socket, guest: Guest) => void,
  ) {
    this.address = address;
    this.#server = server;
    this.#lobby = lobby;
    this.#accept = accept;
    server.on('connection', (socket: Socket) => this.#arrived(socket));
    server.on('secureConnection', (socket: Socket) => this.#secured(socket));
  }

  /** The port that the system chose where 0 was asked for. */
  get port(): number | undefined {
    const bound = this.#server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : undefined;
  }

  /** For people: `tcp://localhost:8888`, `unix:/run/app/ipc.sock`. */
  get url(): string {
    if (this.address.kind === 'unix') return `unix:${this.address.path}`;
    const host = this.address.host.includes(':') ? `[${this.address.host}]` : this.address.host;
    return `${this.address.kind}://${host}:${this.port ?? this.address.port}`;
  }

  /** Ends every stream that is still open, whatever it waits for. */
  cutOff(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Listens. Throws `NETWORK_PORT_IN_USE`, `NETWORK_PATH_*`, `NETWORK_PERMISSION` or `NETWORK_LISTEN_FAILED`. */
  static async open(
    address: EndpointAddress,
    handshakeTimeoutMs: number,
    lobby: Lobby,
    accept: (socket: Socket, guest: Guest) => void,
  ): Promise<Endpoint> {
    if (address.kind === 'unix') await preparePath(address.path);
    const server =
      address.kind === 'tls'
        ? createTlsServer({ handshakeTimeout: handshakeTimeoutMs, ...address.tls })
        : createServer();
    if (address.kind === 'tls') server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
    const endpoint = new Endpoint(address, server, lobby, accept);
    await listen(server, address);
    return endpoint;
  }

  /** Takes no more connections. Those that are open stay. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  unref(): void {
    this.#server.unref();
  }

  ref(): void {
    this.#server.ref();
  }

  #arrived(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const guest = this.#lobby.enter(() => socket.destroy());
    if (guest === undefined) return;
    socket.once('close', () => guest.leave());
    if (this.address.kind !== 'tls') {
      this.#accept(socket, guest);
      return;
    }
    const source = sourceOf(socket);
    this.#greeting.set(source, guest);
    socket.once('close', () => this.#greeting.delete(source));
  }

  #secured(socket: Socket): void {
    const source = sourceOf(socket);
    const guest = this.#greeting.get(source);
    this.#greeting.delete(source);
    if (guest === undefined) socket.destroy();
    else this.#accept(socket, guest);
  }
}

function sourceOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function listen(server: Server, address: EndpointAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(listenError(address, error));
    server.once('error', failed);
    const listening = (): void => {
      server.removeListener('error', failed);
      resolve();
    };
    if (address.kind !== 'unix') {
      server.listen({ host: address.host, port: address.port }, listening);
      return;
    }
    // Nobody may connect between bind and a chmod, so the mask gives the mode: bind is done inside `listen`.
    const mask = isWindowsPipe(address.path) ? undefined : process.umask(0o777 & ~address.mode);
    try {
      server.listen(address.path, listening);
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
  });
}

function isWindowsPipe(path: string): boolean {
  return path.startsWith('\\\\.\\pipe\\') || path.startsWith('\\\\?\\pipe\\');
}

/** A free path in a private directory: a socket that nobody listens on any more is removed. */
async function preparePath(path: string): Promise<void> {
  if (isWindowsPipe(path)) return;
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES_MAX) {
    throw ipcError(
      'NETWORK_PATH_TOO_LONG',
      `socket path of ${bytes} bytes; the system takes ${UNIX_PATH_BYTES_MAX}: ${path}`,
      {
        details: { path, bytes, bytesMax: UNIX_PATH_BYTES_MAX },
      },
    );
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw listenError({ kind: 'unix', path, mode: 0 }, toError(thrown));
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw occupied(path, 'a file that is no socket stands there');
  if (await answers(path)) throw occupied(path, 'a live server listens there');
  unlinkSync(path);
}

function occupied(path: string, why: string): IPCError {
  return ipcError('NETWORK_PATH_OCCUPIED', `socket path ${path}: ${why}`, { details: { path } });
}

/** Whether anybody listens on the socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = netConnect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Refused: left behind by a dead process. Anything else is no proof of death.
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function listenError(address: EndpointAddress, error: NodeJS.ErrnoException): IPCError {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  const details = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  switch (error.code) {
    case 'EADDRINUSE':
      return address.kind === 'unix'
        ? occupied(where, 'a live server listens there')
        : ipcError('NETWORK_PORT_IN_USE', `${where}: another process listens on this port`, { cause: error, details });
    case 'EACCES':
    case 'EPERM':
      return ipcError('NETWORK_PERMISSION', `${where}: the system does not allow to listen here`, {
        cause: error,
        details,
      });
    default:
      return ipcError('NETWORK_LISTEN_FAILED', `${where}: ${error.message}`, { cause: error, details });
  }
}
