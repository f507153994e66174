// A bare socket that speaks the old framing, to ask the original package what it does with each byte. It
// uses nothing of our server or client, so what it finds is about the original alone.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const LENGTH_BYTES = 4;

/** One body behind its length. */
export function framed(body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body as string);
  const frame = Buffer.alloc(LENGTH_BYTES + bytes.length);
  frame.writeUInt32BE(bytes.length);
  bytes.copy(frame, LENGTH_BYTES);
  return frame;
}

/** A text as Python would write it around these values: seven keys, in the original's order. */
export function bodyOf(values: Readonly<Record<string, unknown>>): string {
  const message = {
    message_id: 'id',
    app_id: 'app',
    channel_id: 'channel',
    message_type: 'request',
    payload: {},
    timestamp: 1.5,
    reply_to: null,
    ...values,
  };
  return JSON.stringify(message);
}

export const HELLO = bodyOf({ channel_id: 'system', payload: { action: 'connect', connection_id: 'raw' } });

export class OldWire {
  readonly socket: Socket;
  readonly #waiting: ((body: string | undefined) => void)[] = [];
  readonly #bodies: string[] = [];
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  readonly #end: Promise<void>;
  /** The sizes of what arrived at a time. */
  readonly chunks: number[] = [];

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    // A reset counts as hanging up: the original closes with bytes unread.
    this.#end = new Promise((resolve) => {
      for (const event of ['error', 'end', 'close']) socket.once(event, () => resolve());
    });
    void this.#end.then(() => {
      this.#ended = true;
      for (const waiting of this.#waiting.splice(0)) waiting(undefined);
    });
  }

  static async connect(port: number): Promise<OldWire> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new OldWire(socket);
  }

  /** Connects and shakes hands. */
  static async join(port: number, app: string, connectionId: string): Promise<OldWire> {
    const wire = await OldWire.connect(port);
    wire.send(
      bodyOf({ app_id: app, channel_id: 'system', payload: { action: 'connect', connection_id: connectionId } }),
    );
    await wire.next();
    return wire;
  }

  send(body: Uint8Array | string): void {
    this.socket.write(framed(body));
  }

  /** The next body as its text; `undefined` when the peer has hung up. */
  async nextText(): Promise<string | undefined> {
    const body = this.#bodies.shift();
    if (body !== undefined || this.#ended) return body;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next body, parsed. */
  async next(): Promise<Record<string, unknown>> {
    const text = await this.nextText();
    if (text === undefined) throw new Error('the peer hung up');
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** Resolves when the peer has hung up, with the bodies that came before and nobody read. */
  async ended(): Promise<readonly string[]> {
    await this.#end;
    return this.#bodies;
  }

  /** Whether the peer has hung up, as far as is known now. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  close(): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.chunks.push(chunk.length);
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + this.#received.readUInt32BE();
      if (this.#received.length < end) return;
      const body = this.#received.toString('utf8', LENGTH_BYTES, end);
      this.#received = this.#received.subarray(end);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#bodies.push(body);
      else waiting(body);
    }
  }
}

/** A listener that gives each connection as an `OldWire`. */
export class OldListener {
  readonly #server: Server;
  readonly #accepted: OldWire[] = [];
  readonly #waiting: ((wire: OldWire) => void)[] = [];
  readonly port: number;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => {
      const wire = new OldWire(socket);
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#accepted.push(wire);
      else waiting(wire);
    });
  }

  static async start(): Promise<OldListener> {
    const server = createServer({ allowHalfOpen: false });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OldListener(server);
  }

  async accept(): Promise<OldWire> {
    const wire = this.#accepted.shift();
    if (wire !== undefined) return wire;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Connections that came and that nobody has taken. */
  get waitingCount(): number {
    return this.#accepted.length;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}
