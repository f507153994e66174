// The server that a program embeds: listens, receives, and gives users the documented face of what the hub
// does.

import type { Server as HttpServer } from 'node:http';
import { EventEmitter } from 'node:events';
import { ipcError, type IPCError, toError } from '../base/errors.ts';
import { integerOption, invalidOption, knownOptions } from '../base/options.ts';
import type { ApplicationSummary } from '../broker/applications.ts';
import type { ChannelSummary } from '../broker/application.ts';
import type { ConnectionOptions } from '../connection/connection.ts';
import { Turn } from '../connection/turn.ts';
import type { Message } from '../protocol/messages.ts';
import { DEADLINE_GRAIN_MS } from '../session/deadlines.ts';
import { SlabPool } from '../session/slab-pool.ts';
import type { Wire } from '../transports/wire.ts';
import { Arrivals } from './arrivals.ts';
import { type ConnectionManager, MemoryConnectionManager } from './connection-manager.ts';
import { Hub } from './hub.ts';
import type { LegacyPeer } from './legacy-peer.ts';
import type { NativePeer } from './native-peer.ts';
import { ServerMessage as HandledMessage } from './message.ts';
import type { Middleware, ServerApplication, ServerConnection, ServerMessage } from './model.ts';
import { type ServerOptions, type ServerSettings, serverSettings } from './options.ts';
import type { StatsSnapshot } from './stats.ts';

/** What the system may hold for one client before its subscriptions keep their messages to themselves. */
const CONGESTED_BYTES = 256 * 1024;
const TICK_MS = 1000;

/** What can happen to a server, with what listeners are given. */
export interface ServerEvents {
  /** A client has come in. */
  connection: [connection: ServerConnection];
  /** A client has gone, and why. */
  disconnection: [connection: ServerConnection, reason: IPCError];
  /** A fault that no caller could be told of. Without a listener it goes to the `logger`, or nowhere. */
  fault: [error: Error, connection: ServerConnection | undefined];
}

/** Options of `server.stop`. */
export interface StopOptions {
  /** Milliseconds in which requests may finish, 0 to 2^31-1. Default 0. */
  readonly drain?: number;
  /** The request whose handler stops the server: it is not waited for, as it waits itself. */
  readonly within?: ServerMessage;
}

/**
 * The broker: clients join an application and talk on its channels.
 *
 * @example
 * ```ts
 * const server = new IPCServer({ port: 8888 });
 * server.createApplication('shop').createChannel('sum')
 *   .setHandler('request', (message) => (message.payload as number[]).reduce((a, b) => a + b, 0));
 * await server.start();
 * ```
 */
export class IPCServer extends EventEmitter<ServerEvents> {
  /** Who is connected. May be replaced before `start`. */
  connectionManager: ConnectionManager = new MemoryConnectionManager();
  readonly #settings: ServerSettings;
  readonly #hub: Hub;
  readonly #arrivals: Arrivals;
  readonly #peers = new Set<NativePeer | LegacyPeer>();
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** Over when requests that are open have had their time. */
  readonly #patience = over();
  #startedAt: number | undefined;
  /** When it was last looked who had been heard: milliseconds since the epoch. */
  #lookedAt = 0;
  #places = 0;
  #heartbeat: NodeJS.Timeout | undefined;
  #wheel: NodeJS.Timeout | undefined;
  #emptied: (() => void) | undefined;

  /** Throws `USAGE_INVALID_OPTION` or `USAGE_INSECURE`. */
  constructor(options: ServerOptions = {}) {
    super();
    this.#settings = serverSettings(options);
    const { limits, handshakeTimeoutMs, heartbeatIntervalMs, outboxBytesMax } = this.#settings;
    const clock = (): number => performance.now();
    this.#hub = new Hub(this.#settings, {
      clock,
      keepTime: () => this.#keepTime(),
      gone: (peer, error) => this.#gone(peer as NativePeer | LegacyPeer, error),
      report: (error, peer) => this.#report(error, peer),
    });
    const connectionOptions: ConnectionOptions = {
      role: 'server',
      limits,
      heartbeatIntervalMs,
      allocate: (size) => Buffer.allocUnsafe(size),
      pool: new SlabPool((size) => Buffer.allocUnsafeSlow(size)),
      turn: new Turn((run) => process.nextTick(run)),
      congestedBytes: Math.min(CONGESTED_BYTES, outboxBytesMax),
      farewellMs: handshakeTimeoutMs,
      clock,
    };
    this.#arrivals = new Arrivals({
      hub: this.#hub,
      connectionOptions,
      enter: () => this.#enter(),
      leave: () => {
        this.#places -= 1;
      },
      joined: (peer) => this.#joined(peer as NativePeer | LegacyPeer),
      announce: (peer) => this.#announce(peer as NativePeer | LegacyPeer),
    });
  }

  /** Whether the server listens. */
  get running(): boolean {
    return this.#startedAt !== undefined;
  }

  /** The port that is listened on; the one chosen by the system where 0 was asked for. */
  get port(): number {
    return this.#arrivals.port ?? this.#settings.port;
  }

  /** Host of the TCP address. */
  get host(): string {
    return this.#settings.host;
  }

  /** Every address that is listened on: `tcp://localhost:8888`, `unix:/run/app.sock`. */
  get listening(): readonly string[] {
    return this.#arrivals.urls;
  }

  /**
   * Listens on every address; on all or on none. Idempotent. Rejects with `NETWORK_PORT_IN_USE`,
   * `NETWORK_PATH_TOO_LONG`, `NETWORK_PATH_OCCUPIED`, `NETWORK_PERMISSION`, `NETWORK_LISTEN_FAILED`;
   * `USAGE_CLOSED` after `stop`.
   */
  start(): Promise<void> {
    if (this.#stopping !== undefined) {
      return Promise.reject(ipcError('USAGE_CLOSED', 'the server was stopped; make a new one'));
    }
    this.#starting ??= this.#start().catch((thrown: unknown) => {
      this.#starting = undefined;
      throw thrown;
    });
    return this.#starting;
  }

  /**
   * Takes no more connections and requests, lets open requests finish for `drain` milliseconds, then says
   * goodbye to everybody. Resolves when everything is closed. Idempotent: a later call joins the first, and
   * its `drain`, where it is given, may cut the time short but not make it longer.
   *
   * A handler that awaits this waits for its own request, unless it says so by `within`; its caller loses
   * the connection in place of an answer. To answer, it does not await: `void server.stop({ drain: 5000 })`.
   */
  stop(options: StopOptions = {}): Promise<void> {
    knownOptions('stop', options, ['drain', 'within']);
    const drainMs = integerOption('drain', options.drain, { default: 0, min: 0, max: 2 ** 31 - 1 });
    const { within } = options;
    if (within !== undefined && !(within instanceof HandledMessage)) {
      throw invalidOption('within', within, 'the message that the handler was given');
    }
    if (within !== undefined) this.#hub.requests.spare(within);
    if (this.#stopping === undefined || options.drain !== undefined) void wait(drainMs).then(this.#patience.resolve);
    this.#stopping ??= this.#stop(drainMs);
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Takes WebSocket connections of a user's own HTTP or HTTPS server on `path`. Gives what detaches it. */
  attach(server: HttpServer, options: { readonly path?: string } = {}): () => void {
    return this.#arrivals.attach(server, options.path ?? '/isthmus');
  }

  /** Serves a client over any wire, such as one end of `memoryWirePair()`. Throws `USAGE_CLOSED` after `stop`. */
  accept(wire: Wire): void {
    if (this.#stopping !== undefined) throw ipcError('USAGE_CLOSED', 'the server was stopped; make a new one');
    this.#startedAt ??= Date.now();
    this.#beat();
    this.#arrivals.accept(wire);
  }

  /** Makes the application, or gives the one that is there. Throws `USAGE_INVALID_NAME`, `LIMIT_APPLICATIONS`. */
  createApplication(appId: string, name?: string): ServerApplication {
    return this.#hub.context.applications.createApplication(appId, name);
  }

  /** The application, where it exists: nothing is made. */
  getApplication(appId: string): ServerApplication | undefined {
    return this.#hub.context.applications.getApplication(appId);
  }

  /** Every application by name. */
  listApplications(): Record<string, ApplicationSummary> {
    return this.#hub.context.applications.listApplications();
  }

  /** The channels of an application. Throws `REMOTE_NO_APPLICATION`. */
  listChannels(appId: string): Record<string, ChannelSummary> {
    return this.#application(appId).listChannels();
  }

  /** Middleware that every message passes first. */
  use(middleware: Middleware): this {
    this.#hub.context.applications.middleware.use(middleware);
    return this;
  }

  /** Sends a notification to one connection. False when it is gone. Throws what its `notify` throws. */
  sendToConnection(connection: ServerConnection | string, message: Pick<Message, 'channelId' | 'payload'>): boolean {
    const peer = typeof connection === 'string' ? this.connectionManager.getConnection(connection) : connection;
    if (peer === undefined || !this.#peers.has(peer as NativePeer | LegacyPeer)) return false;
    return this.#hub.notify(peer, message.channelId, message.payload);
  }

  /**
   * Sends a notification to every connection of the application, subscribed or not. Gives how many were told:
   * not those that do not read (`LIMIT_OUTBOX`, counted as `slowConsumers`), and no old client whose protocol
   * cannot carry the payload. Throws `USAGE_UNSERIALIZABLE`, `USAGE_INVALID_NAME`, `REMOTE_NO_APPLICATION`.
   */
  broadcastToApplication(appId: string, message: Pick<Message, 'channelId' | 'payload'>): number {
    return this.#hub.broadcast(this.#application(appId), message.channelId, message.payload);
  }

  /** Publishes a message to the subscribers of its channel. Gives how many subscriptions got it. */
  routeMessage(message: Pick<Message, 'appId' | 'channelId' | 'payload'>): number {
    const channel = this.#application(message.appId).channelFor(message.channelId, Date.now());
    return channel.publish(message.payload).receivers;
  }

  /** Counters of this moment. */
  getStats(): StatsSnapshot {
    const { stats } = this.#hub.context;
    let bytesIn = stats.bytesInBefore;
    let bytesOut = stats.bytesOutBefore;
    for (const peer of this.#peers) {
      bytesIn += peer.bytesIn;
      bytesOut += peer.bytesOut;
    }
    return {
      running: this.running,
      host: this.host,
      port: this.port,
      listening: this.listening,
      totalApplications: this.#hub.context.applications.size,
      totalConnections: this.#peers.size,
      maxConnections: this.#settings.maxConnections,
      pendingConnections: this.#arrivals.pending,
      connectionsRefused: stats.connectionsRefused,
      connectionsSinceStart: stats.connectionsTotal,
      messagesIn: stats.messagesIn,
      messagesOut: stats.messagesOut,
      bytesIn,
      bytesOut,
      requestsOpen: stats.requestsOpen,
      errors: stats.errors,
      slowConsumers: stats.slowConsumers,
      uptimeMs: this.#startedAt === undefined ? 0 : Date.now() - this.#startedAt,
    };
  }

  async #start(): Promise<void> {
    await this.#arrivals.open();
    this.#startedAt = Date.now();
    this.#beat();
  }

  async #stop(drainMs: number): Promise<void> {
    await this.#starting?.catch(() => undefined);
    this.#arrivals.close();
    const drained = this.#hub.requests.drain();
    if (drainMs > 0) await Promise.race([drained, this.#patience.promise]);
    this.#arrivals.closeDoor();
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    for (const peer of this.#peers) peer.close(ipcError('REMOTE_DRAINING', 'the server is stopping'));
    if (this.#peers.size > 0) await Promise.race([emptied, wait(TICK_MS)]);
    // Whoever did not take the goodbye in time is cut off.
    for (const peer of this.#peers) peer.destroy(ipcError('REMOTE_DRAINING', 'the server is stopping'));
    if (this.#peers.size > 0) await emptied;
    // What is left has not come in yet, or was shown out and does not go.
    await this.#arrivals.cutOff();
    clearInterval(this.#heartbeat);
    clearInterval(this.#wheel);
    this.#startedAt = undefined;
  }

  #enter(): void {
    if (this.#stopping !== undefined) throw ipcError('REMOTE_DRAINING', 'the server is stopping');
    const { maxConnections } = this.#settings;
    if (this.#places >= maxConnections) {
      this.#hub.context.stats.connectionsRefused += 1;
      throw ipcError('LIMIT_CONNECTIONS', `the server has ${maxConnections} connections, as many as it allows`, {
        details: { maxConnections },
      });
    }
    this.#places += 1;
  }

  #joined(peer: NativePeer | LegacyPeer): void {
    this.#peers.add(peer);
    this.#hub.context.stats.connectionsTotal += 1;
    this.#manage(peer, (manager) => manager.addConnection(peer));
  }

  /** A user's own table that throws is at fault, not the client. */
  #manage(peer: ServerConnection, run: (manager: ConnectionManager) => void): void {
    try {
      run(this.connectionManager);
    } catch (thrown) {
      this.#hub.context.report(toError(thrown), peer);
    }
  }

  /** A listener that throws is at fault, not the client. */
  #announce(peer: NativePeer | LegacyPeer): void {
    try {
      this.emit('connection', peer);
    } catch (thrown) {
      this.#hub.context.report(toError(thrown), peer);
    }
  }

  #gone(peer: NativePeer | LegacyPeer, error: IPCError): void {
    if (!this.#peers.delete(peer)) return;
    this.#places -= 1;
    this.#hub.context.stats.bytesInBefore += peer.bytesIn;
    this.#hub.context.stats.bytesOutBefore += peer.bytesOut;
    this.#manage(peer, (manager) => manager.removeConnection(peer));
    if (this.#peers.size === 0) this.#emptied?.();
    try {
      this.emit('disconnection', peer, error);
    } catch (thrown) {
      this.#hub.context.report(toError(thrown), peer);
    }
  }

  #report(error: Error, peer: ServerConnection | undefined): void {
    if (this.emit('fault', error, peer)) return;
    this.#settings.logger?.warn({ err: error, connection: peer?.id }, error.message);
  }

  /** One timer for the heartbeats of all. */
  #beat(): void {
    if (this.#heartbeat !== undefined) return;
    const half = this.#settings.heartbeatIntervalMs / 2;
    const every = half === 0 ? TICK_MS : Math.max(10, Math.min(TICK_MS, half));
    this.#heartbeat = setInterval(() => {
      const now = this.#hub.context.clock();
      const lookedBefore = this.#lookedAt;
      this.#lookedAt = this.#hub.context.now();
      for (const peer of this.#peers) {
        if (peer.lastActivity > lookedBefore) this.#manage(peer, (manager) => manager.updateActivity(peer.id));
        peer.tick(now);
      }
      this.#hub.context.setClock();
      this.#hub.context.applications.sweep();
    }, every).unref();
  }

  /** One timer for all deadlines, while there are any. */
  #keepTime(): void {
    if (this.#wheel !== undefined) return;
    this.#wheel = setInterval(() => {
      if (this.#hub.requests.expire()) return;
      clearInterval(this.#wheel);
      this.#wheel = undefined;
    }, DEADLINE_GRAIN_MS);
  }

  #application(appId: string): ServerApplication {
    const application = this.getApplication(appId);
    if (application === undefined) {
      throw ipcError('REMOTE_NO_APPLICATION', `there is no application ${appId}`, { details: { appId } });
    }
    return application;
  }
}

function over(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
