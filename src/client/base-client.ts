// What every client has, whatever it does on its channels: connecting, events, and what it can tell
// about itself.

import { abortable } from '../base/abort.ts';
import { abortError, ipcError, type IPCError, TimeoutError, toError } from '../base/errors.ts';
import { invalidOption, knownOptions, signalOption } from '../base/options.ts';
import { Acknowledgement } from './calls.ts';
import { ClientCore, type ClientEvents } from './core.ts';
import { type ConnectionInfo, connectionInfo, type Health } from './info.ts';
import type { Disposer } from './listeners.ts';
import { type ClientOptions, readClientOptions, timeoutOption } from './options.ts';
import type { Platform } from './platform.ts';

const PING_TIMEOUT_MS = 2000;

export class BaseClient implements AsyncDisposable {
  /** @internal */
  protected readonly core: ClientCore;

  constructor(appId: string, options: ClientOptions<unknown>, platform: Platform) {
    const settings = readClientOptions(appId, options);
    this.core = new ClientCore(settings, platform);
  }

  /** The application that it joins. */
  get appId(): string {
    return this.core.appId;
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.core.live !== undefined;
  }

  /** Given by the server, new for each connection; null while offline. */
  get connectionId(): string | null {
    return this.core.live?.welcome.connectionId ?? null;
  }

  /** The same as `connected`. */
  isConnected(): boolean {
    return this.connected;
  }

  /**
   * Connects, and resolves when the server has welcomed the client and answered for what was subscribed and
   * served before; at once when all that has happened. Calls at the same time share one attempt, and one
   * attempt is made: it is for the caller to try again. A client that comes back after a loss does so by
   * itself; then the next attempt is made now, and it is waited for until it is back or gives up.
   *
   * Rejects with `NETWORK_*`, `TIME_OUT`, `REMOTE_UNAUTHENTICATED`, `LIMIT_CONNECTIONS`, `PEER_VERSION` and
   * the like, or with `TIME_CANCELLED` when the signal fires.
   *
   * @example
   * ```ts
   * await using client = new IPCClient('shop');
   * await client.connect();
   * ```
   */
  async connect(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    knownOptions('connect', options, ['signal']);
    const signal = signalOption('signal', options.signal);
    await this.core.lifecycle.connect(signal);
    await abortable(this.core.restored, signal);
  }

  /**
   * Says goodbye and resolves when everything is closed. What is not answered rejects with `USAGE_CLOSED`,
   * subscriptions end. Calling it again does no harm; `connect` begins anew.
   */
  disconnect(): Promise<void> {
    return this.core.lifecycle.disconnect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** Listens to what happens to the client; gives what takes the listener out again. */
  on<K extends keyof ClientEvents>(event: K, listener: (...args: ClientEvents[K]) => void): Disposer {
    const listeners = Object.hasOwn(this.core.events, event) ? this.core.events[event] : undefined;
    if (listeners === undefined) throw invalidOption('event', event, Object.keys(this.core.events).join(', '));
    return listeners.add(listener);
  }

  /** Calls the listener when it is online; the same as `on('connected', …)`. */
  onConnected(listener: (...args: ClientEvents['connected']) => void): Disposer {
    return this.on('connected', listener);
  }

  /** Calls the listener when it is not online any more; the same as `on('disconnected', …)`. */
  onDisconnected(listener: (...args: ClientEvents['disconnected']) => void): Disposer {
    return this.on('disconnected', listener);
  }

  /** Calls the listener with what nobody awaits; without one it is a process warning. The same as `on('error', …)`. */
  onError(listener: (...args: ClientEvents['error']) => void): Disposer {
    return this.on('error', listener);
  }

  /**
   * The time to the server and back, in milliseconds. Rejects with `TIME_OUT` after `timeout` milliseconds,
   * default 2,000, with `TIME_CANCELLED` when the signal fires, and at once with `USAGE_NOT_CONNECTED` while
   * there is no connection.
   */
  async ping(timeout = PING_TIMEOUT_MS, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const timeoutMs = timeoutOption(timeout, PING_TIMEOUT_MS);
    knownOptions('ping', options, ['signal']);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    const link = this.core.live;
    if (link === undefined) throw ipcError('USAGE_NOT_CONNECTED', 'the client is not connected');
    const call = new Acknowledgement(this.core.times);
    call.limit(timeoutMs, signal);
    const begun = this.core.clock();
    link.ping(call);
    await call.promise;
    return this.core.clock() - begun;
  }

  /** Whether the server answers now, and how fast. Never rejects. */
  async healthCheck(): Promise<Health> {
    try {
      const latencyMs = await this.ping();
      return { healthy: true, connected: true, latencyMs, error: null };
    } catch (thrown) {
      // Servers of the original package answer no ping: a missing answer says nothing about them.
      const mute = this.core.settings.protocol === 'json' && thrown instanceof TimeoutError;
      if (mute) return { healthy: this.connected, connected: this.connected, latencyMs: null, error: null };
      return { healthy: false, connected: this.connected, latencyMs: null, error: toError(thrown) as IPCError };
    }
  }

  /** What it is and does at this moment. */
  getConnectionInfo(): ConnectionInfo {
    return connectionInfo(this.core);
  }
}
