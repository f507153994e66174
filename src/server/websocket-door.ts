// The HTTP side of the port: upgrades to WebSocket after a look at the page's origin; anything else gets
// a short answer. Serves the server's own port and a user's HTTP server alike.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { WebSocketWire } from '../transports/websocket-wire.ts';
import type { PeerAddress, Wire } from '../transports/wire.ts';

export const SUBPROTOCOL = 'isthmus.1';

export interface WebSocketDoorOptions {
  readonly origins: readonly string[] | '*' | undefined;
  readonly handshakeTimeoutMs: number;
  /** The largest WebSocket message that is taken. */
  readonly messageBytesMax: number;
}

export class WebSocketDoor {
  readonly #options: WebSocketDoorOptions;
  readonly #accept: (wire: Wire) => void;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  /** How long each stream has to become a WebSocket. */
  readonly #patience = new WeakMap<Duplex, NodeJS.Timeout>();
  readonly #attached: {
    readonly server: Server;
    readonly listener: (...args: [IncomingMessage, Duplex, Buffer]) => void;
  }[] = [];

  constructor(options: WebSocketDoorOptions, accept: (wire: Wire) => void) {
    this.#options = options;
    this.#accept = accept;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: options.messageBytesMax,
      handleProtocols: (protocols) => (protocols.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    this.#http = createServer();
    this.#http.on('request', answerPlain);
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#http.on('clientError', (_error, socket) => socket.destroy());
  }

  /** A stream on the server's own port that turned out to speak HTTP. */
  receive(socket: Socket): void {
    // Node enforces its own time-outs on servers that listen, and this one never does.
    const timer = setTimeout(() => socket.destroy(), this.#options.handshakeTimeoutMs);
    this.#patience.set(socket, timer);
    socket.once('close', () => clearTimeout(timer));
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
      clearTimeout(this.#patience.get(socket));
      this.#accept(new WebSocketWire(webSocket, addressOf(request)));
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
