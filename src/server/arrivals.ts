// Everything through which clients come in: the addresses that are listened on, the HTTP side of their ports,
// and the lobby in which a stream waits until the reception has made a client of it.

import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { StreamWire } from '../transports/stream-wire.ts';
import type { PeerAddress, Wire } from '../transports/wire.ts';
import { lookAt } from './door.ts';
import { Endpoint } from './endpoint.ts';
import { type Guest, Lobby } from './lobby.ts';
import type { ServerSettings } from './options.ts';
import { receiveLegacy, receiveNative, type ReceptionDesk } from './reception.ts';
import { WebSocketDoor } from './websocket-door.ts';

export class Arrivals {
  readonly #settings: ServerSettings;
  readonly #desk: ReceptionDesk;
  readonly #lobby: Lobby;
  readonly #door: WebSocketDoor;
  #endpoints: readonly Endpoint[] = [];
  #closing: Promise<unknown> | undefined;

  constructor(desk: ReceptionDesk) {
    this.#desk = desk;
    const { context } = desk.hub;
    this.#settings = context.settings;
    this.#lobby = new Lobby(this.#settings.handshakesMax, () => {
      context.stats.connectionsRefused += 1;
    });
    this.#door = new WebSocketDoor(this.#settings, this.#lobby, (wire, guest) => receiveNative(desk, wire, guest));
  }

  /** The first port that is listened on. */
  get port(): number | undefined {
    return this.#endpoints.find((one) => one.port !== undefined)?.port;
  }

  get urls(): readonly string[] {
    return this.#endpoints.map((one) => one.url);
  }

  /** How many streams have not become clients yet. */
  get pending(): number {
    return this.#lobby.size;
  }

  /** Listens on all addresses, or on none. Throws what `Endpoint.open` throws. */
  async open(): Promise<void> {
    const opened: Endpoint[] = [];
    const { addresses, handshakeTimeoutMs } = this.#settings;
    try {
      for (const address of addresses) {
        const arrived = (socket: Socket, guest: Guest): void => void this.#arrived(socket, guest, address.kind);
        opened.push(await Endpoint.open(address, handshakeTimeoutMs, this.#lobby, arrived));
      }
    } catch (thrown) {
      await Promise.all(opened.map((endpoint) => endpoint.close()));
      throw thrown;
    }
    this.#endpoints = opened;
  }

  attach(server: HttpServer, path: string): () => void {
    return this.#door.attach(server, path);
  }

  accept(wire: Wire): void {
    const guest = this.#lobby.enter(() => wire.destroy());
    if (guest !== undefined) receiveNative(this.#desk, wire, guest);
  }

  /** Nobody comes in any more. */
  close(): void {
    this.#closing ??= Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }

  /** Pages can open no more WebSockets, and no request is answered any more. */
  closeDoor(): void {
    this.#door.close();
  }

  /** Ends whatever stream is left. Resolves when all addresses are free. */
  async cutOff(): Promise<void> {
    for (const endpoint of this.#endpoints) endpoint.cutOff();
    await this.#closing;
    this.#endpoints = [];
  }

  async #arrived(socket: Socket, guest: Guest, kind: 'tcp' | 'tls' | 'unix'): Promise<void> {
    socket.on('error', () => socket.destroy());
    const spoken = await lookAt(socket, this.#settings.handshakeTimeoutMs);
    if (spoken === undefined || this.#closing !== undefined) socket.destroy();
    else if (spoken === 'http') this.#door.receive(socket, guest);
    else if (spoken === 'json') receiveLegacy(this.#desk, new StreamWire(socket, addressOf(socket, kind)), guest);
    else receiveNative(this.#desk, new StreamWire(socket, addressOf(socket, kind)), guest);
  }
}

function addressOf(socket: Socket, transport: 'tcp' | 'tls' | 'unix'): PeerAddress {
  if (transport === 'unix') return { transport };
  const { remoteAddress, remotePort } = socket;
  const certificate = transport === 'tls' ? (socket as TLSSocket).getPeerCertificate() : undefined;
  const subject = certificate?.subject as { readonly CN?: string } | undefined;
  return {
    transport,
    ...(remoteAddress === undefined ? {} : { host: remoteAddress }),
    ...(remotePort === undefined ? {} : { port: remotePort }),
    ...(subject?.CN === undefined ? {} : { certificateSubject: subject.CN }),
  };
}
