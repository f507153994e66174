// Where a server listens: one Node server for each address, and every stream that came to it.

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type EndpointAddress, listen, preparePath } from './listening.ts';
import type { Guest, Lobby } from './lobby.ts';

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
    if (address.kind === 'unix') await preparePath(address.path, process.platform);
    const server =
      address.kind === 'tls'
        ? createTlsServer({ handshakeTimeout: handshakeTimeoutMs, ...address.tls })
        : createServer();
    if (address.kind === 'tls') server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
    const endpoint = new Endpoint(address, server, lobby, accept);
    await listen(server, address, process.platform);
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
