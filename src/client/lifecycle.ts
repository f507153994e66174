// The life of a client from connection to connection: when to connect, when to come back, when to give
// up. The states are data; everything that happens goes through the table.

import { abortable, onAbort } from '../base/abort.ts';
import { abortError, ipcError, IPCError, toError } from '../base/errors.ts';
import type { Wire } from '../transports/wire.ts';
import { showAddress } from './address.ts';
import type { Link } from './link.ts';
import { type ClientSettings, RECONNECT_DELAY_MS_MAX } from './options.ts';
import type { Platform } from './platform.ts';
import { Due, type Timekeeper } from './timekeeper.ts';

/**
 * idle: not connected and not trying. connecting: the first attempt is under way. online. waiting: lost,
 * the next attempt has its time. returning: an attempt to come back is under way. closing: goodbye said.
 */
export type ClientState = 'idle' | 'connecting' | 'online' | 'waiting' | 'returning' | 'closing';

export const CLIENT_TRANSITIONS: Readonly<Record<ClientState, readonly ClientState[]>> = {
  idle: ['connecting'],
  connecting: ['online', 'idle'],
  online: ['waiting', 'closing', 'idle'],
  waiting: ['returning', 'idle'],
  returning: ['online', 'waiting', 'idle'],
  closing: ['idle'],
};

/** How long a server may take to answer a goodbye. */
const CLOSE_TIMEOUT_MS = 2000;

export interface LifecycleOwner {
  /** Makes a connection of a wire; its handshake begins with `open`. */
  link(wire: Wire): Link;
  /** The first attempt of a new life begins. */
  connecting(): void;
  online(link: Link): void;
  /** We are about to say goodbye: nothing more may be sent. */
  leaving(link: Link): void;
  /** `returning`: it will be tried to come back. */
  offline(error: IPCError, returning: boolean): void;
  reconnecting(attempt: number, delayMs: number, cause: IPCError): void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: IPCError) => void;
}

/** A point in time at which something is done, once. */
class Alarm extends Due {
  readonly #run: () => void;
  constructor(run: () => void) {
    super();
    this.#run = run;
  }
  override expired(): void {
    this.#run();
  }
}

export class Lifecycle {
  readonly #owner: LifecycleOwner;
  readonly #settings: ClientSettings;
  readonly #platform: Platform;
  readonly #times: Timekeeper;
  #state: ClientState = 'idle';
  #link: Link | undefined;
  #waiters: Waiter[] = [];
  #attempt = 0;
  #onlineAt = 0;
  /** Takes this client off its signal. */
  #unlisten: (() => void) | undefined;
  #abort: AbortController | undefined;
  #cancelRetry: (() => void) | undefined;
  #closed: Promise<void> | undefined;
  #closedDone: (() => void) | undefined;
  readonly #connectAlarm = new Alarm(() => this.#tooLate());
  readonly #closeAlarm = new Alarm(() => this.#link?.destroy(closedError()));
  readonly #heartbeat = new Alarm(() => this.#beat());

  constructor(owner: LifecycleOwner, settings: ClientSettings, platform: Platform, times: Timekeeper) {
    this.#owner = owner;
    this.#settings = settings;
    this.#platform = platform;
    this.#times = times;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Resolves when online. One that is on its way back, and waits to try, tries now. */
  connect(signal: AbortSignal | undefined): Promise<void> {
    for (const one of [signal, this.#settings.signal]) {
      if (one?.aborted === true) return Promise.reject(abortError(one));
    }
    if (this.#state === 'online') return Promise.resolve();
    if (this.#state === 'closing') {
      return abortable(this.#closed as Promise<void>, signal).then(() => this.connect(signal));
    }
    const promise = this.#wait(signal);
    if (this.#state === 'idle') {
      this.#attempt = 0;
      this.#become('connecting');
      this.heed();
      this.#owner.connecting();
      this.#try();
    } else if (this.#state === 'waiting') this.#comeBack();
    return promise;
  }

  /** From now on the signal of the client is listened to, until the client has come to rest. Throws its reason. */
  heed(): void {
    const { signal } = this.#settings;
    if (signal === undefined || this.#unlisten !== undefined) return;
    if (signal.aborted) throw abortError(signal);
    this.#unlisten = onAbort(signal, () => this.#signalled(signal));
  }

  /** Resolves when nothing is open any more. */
  disconnect(): Promise<void> {
    const error = closedError();
    switch (this.#state) {
      case 'idle':
        this.#atRest(error);
        return Promise.resolve();
      case 'closing':
        return this.#closed as Promise<void>;
      case 'online':
        this.#become('closing');
        this.#closed = new Promise((resolve) => {
          this.#closedDone = resolve;
        });
        this.#times.add(this.#closeAlarm, CLOSE_TIMEOUT_MS);
        if (this.#link !== undefined) this.#owner.leaving(this.#link);
        this.#link?.close(error);
        return this.#closed;
      default:
        this.#stop(error);
        return Promise.resolve();
    }
  }

  /** The handshake of a connection is done. */
  opened(link: Link): void {
    if (link !== this.#link) return;
    this.#times.remove(this.#connectAlarm);
    this.#abort = undefined;
    this.#onlineAt = this.#platform.clock();
    this.#become('online');
    if (this.#settings.heartbeatIntervalMs > 0)
      this.#times.add(this.#heartbeat, this.#settings.heartbeatIntervalMs / 2);
    this.#owner.online(link);
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** A connection has gone, wherever it stood. */
  lost(link: Link, error: IPCError): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    if (this.#state === 'closing') {
      this.#times.remove(this.#closeAlarm);
      this.#rest(closedError());
      this.#closedDone?.();
      return;
    }
    this.#failed(error);
  }

  #try(): void {
    const abort = new AbortController();
    this.#abort = abort;
    this.#times.add(this.#connectAlarm, this.#settings.connectionTimeoutMs);
    this.#platform.connect(this.#settings.address, abort.signal).then(
      (wire) => this.#wired(wire, abort),
      (thrown: unknown) => {
        if (this.#abort === abort) this.#failed(asIpcError(thrown));
      },
    );
  }

  #wired(wire: Wire, abort: AbortController): void {
    if (this.#abort !== abort) {
      wire.open({ data: () => {}, drain: () => {}, close: () => {} });
      wire.destroy();
      return;
    }
    this.#link = this.#owner.link(wire);
    this.#link.open();
  }

  #tooLate(): void {
    const { address, connectionTimeoutMs } = this.#settings;
    const stage = this.#link === undefined ? 'connected' : 'answered the handshake';
    const error = ipcError('TIME_OUT', `${showAddress(address)} has not ${stage} within ${connectionTimeoutMs} ms`);
    if (this.#link === undefined) this.#abort?.abort(error);
    else this.#link.destroy(error);
  }

  /** An attempt has failed, or the connection broke. */
  #failed(error: IPCError): void {
    this.#settle();
    const first = this.#state === 'connecting';
    const { reconnect, reconnectAttempts, reconnectDelayMs } = this.#settings;
    const ceilingMs = () => Math.min(RECONNECT_DELAY_MS_MAX, reconnectDelayMs * 2 ** this.#attempt);
    // A server that lets us in and drops us at once is to be waited for as one that is not there.
    const wasOnline = this.#state === 'online';
    if (wasOnline && this.#platform.clock() - this.#onlineAt >= ceilingMs()) this.#attempt = 0;
    // A wrong peer at the address may be gone the next time; that this client is refused may not.
    if (first || !reconnect || !error.retry || this.#attempt >= reconnectAttempts) {
      this.#rest(error);
      return;
    }
    this.#become('waiting');
    const delayMs = this.#platform.random() * ceilingMs();
    this.#attempt += 1;
    // Whoever waits for the connection must not find the process gone: this timer keeps it.
    this.#cancelRetry = this.#platform.setTimer(delayMs, () => this.#comeBack(), true);
    if (wasOnline) this.#owner.offline(error, true);
    if (this.#state === 'waiting') this.#owner.reconnecting(this.#attempt, delayMs, error);
  }

  #comeBack(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#become('returning');
    this.#try();
  }

  /** Ends every attempt, from outside. */
  #stop(error: IPCError): void {
    const abort = this.#abort;
    const link = this.#link;
    this.#settle();
    this.#link = undefined;
    this.#rest(error);
    abort?.abort(error);
    link?.destroy(error);
  }

  #settle(): void {
    this.#times.remove(this.#connectAlarm);
    this.#times.remove(this.#heartbeat);
    this.#abort = undefined;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  #rest(error: IPCError): void {
    this.#settle();
    this.#become('idle');
    this.#atRest(error);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#times.rest();
  }

  #atRest(error: IPCError): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
    this.#owner.offline(error, false);
  }

  #signalled(signal: AbortSignal): void {
    const error = abortError(signal);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    void this.disconnect();
  }

  #beat(): void {
    if (this.#link === undefined || this.#state !== 'online') return;
    this.#times.add(this.#heartbeat, this.#settings.heartbeatIntervalMs / 2);
    this.#link.heartbeat(this.#platform.clock());
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (by: AbortSignal) => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        const error = abortError(by);
        if (this.#waiters.length === 0 && this.#state === 'connecting') this.#stop(error);
        waiter.reject(error);
      };
      const waiter: Waiter = {
        resolve: () => {
          unlisten?.();
          resolve();
        },
        reject: (error) => {
          unlisten?.();
          reject(error);
        },
      };
      const unlisten = signal === undefined ? undefined : onAbort(signal, () => abort(signal));
      this.#waiters.push(waiter);
    });
  }

  #become(state: ClientState): void {
    if (!CLIENT_TRANSITIONS[this.#state].includes(state)) {
      throw ipcError('SYSTEM_UNEXPECTED', `a client cannot go from ${this.#state} to ${state}`);
    }
    this.#state = state;
  }
}

function closedError(): IPCError {
  return ipcError('USAGE_CLOSED', 'the client was disconnected');
}

function asIpcError(thrown: unknown): IPCError {
  if (thrown instanceof IPCError) return thrown;
  const error = toError(thrown);
  return ipcError('NETWORK_CONNECT_FAILED', error.message, { cause: error });
}
