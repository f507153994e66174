// The HTTP side of the port: upgrades to WebSocket after a look at the page's origin; anything else gets
// a short answer. Serves the server's own port and a user's HTTP server alike.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { WEBSOCKET_MESSAGE_BYTES_MAX } from '../protocol/limits.ts';
import { WebSocketWire } from '../transports/websocket-wire.ts';
import type { PeerAddress, Wire } from '../transports/wire.ts';
import type { Guest, Lobby } from './lobby.ts';
import { Patience } from '../transports/patience.ts';

export const SUBPROTOCOL = 'isthmus.1';

export interface WebSocketDoorOptions {
  readonly origins: readonly string[] | '*' | undefined;
  readonly handshakeTimeoutMs: number;
}

export class WebSocketDoor {
  readonly #options: WebSocketDoorOptions;
  readonly #lobby: Lobby;
  readonly #accept: (wire: Wire, guest: Guest) => void;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  /** How long each stream has to become a WebSocket. */
  readonly #patience = new WeakMap<Duplex, Patience>();
  /** The place of each stream of the server's own port. */
  readonly #guests = new WeakMap<Duplex, Guest>();
  readonly #attached: {
    readonly server: Server;
    readonly listener: (...args: [IncomingMessage, Duplex, Buffer]) => void;
  }[] = [];

  constructor(options: WebSocketDoorOptions, lobby: Lobby, accept: (wire: Wire, guest: Guest) => void) {
    this.#options = options;
    this.#lobby = lobby;
    this.#accept = accept;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: WEBSOCKET_MESSAGE_BYTES_MAX,
      handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    this.#http = createServer();
    this.#http.on('request', answerPlain);
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('clientError', (_error, socket) => socket.destroy());
  }

  /** A stream on the server's own port that turned out to speak HTTP. */
  receive(socket: Socket, guest: Guest): void {
    this.#guests.set(socket, guest);
    // Node enforces its own time-outs on servers that listen, and this one never does.
    const patience = new Patience(this.#options.handshakeTimeoutMs, () => socket.destroy());
    this.#patience.set(socket, patience);
    socket.once('close', () => patience.end());
    this.#http.emit('connection', socket);
  }

  /** Takes the upgrades of a user's HTTP server on this path. Gives what detaches it. */
  attach(server: Server, path: string): () => void {
    const listener = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      if (request.url?.split('?', 1)[0] === path) this.#upgrade(request, socket, head);
    };
    server.on('upgrade', listener);
    const entry = { server, listener };
    this.#attached.push(entry);
    return () => server.off('upgrade', listener);
  }

  close(): void {
    for (const { server, listener } of this.#attached) server.off('upgrade', listener);
    this.#webSockets.close();
    this.#http.closeAllConnections();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!this.#allowed(request)) {
      refuse(socket, '403 Forbidden', 'pages of this origin may not connect');
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#patience.get(socket)?.end();
      const guest = this.#guests.get(socket) ?? this.#lobby.enter(() => webSocket.terminate());
      if (guest === undefined) return;
      webSocket.once('close', () => guest.leave());
      const wire = new WebSocketWire(webSocket, addressOf(request));
      wire.holdToHandshake(socket);
      this.#accept(wire, guest);
    });
  }

  /** A page may connect when its origin is listed, or is the very host that it connects to. Programs send none. */
  #allowed(request: IncomingMessage): boolean {
    const { origin } = request.headers;
    const { origins } = this.#options;
    if (origin === undefined || origins === '*') return true;
    if (origins !== undefined) return origins.includes(origin);
    try {
      return new URL(origin).host === request.headers.host;
    } catch {
      return false;
    }
  }
}

function addressOf(request: IncomingMessage): PeerAddress {
  const { remoteAddress, remotePort } = request.socket;
  const { origin } = request.headers;
  return {
    transport: 'websocket',
    ...(remoteAddress === undefined ? {} : { host: remoteAddress }),
    ...(remotePort === undefined ? {} : { port: remotePort }),
    ...(origin === undefined ? {} : { origin }),
  };
}

function answerPlain(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { 'content-type': 'text/plain; charset=utf-8', upgrade: 'websocket', connection: 'close' });
  response.end('This port speaks the Isthmus protocol, over WebSocket too.\n');
}

function refuse(socket: Duplex, status: string, text: string): void {
  // Nobody else listens any more: an error on this stream must not end the process.
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${text}\n`);
}
