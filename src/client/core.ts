// What of a client outlives a connection: subscriptions, handlers, listeners, and what waits for the
// connection to come back. One object between the operations (client.ts), the connections
// (native-link.ts) and their coming and going (lifecycle.ts).

import { abortable } from '../base/abort.ts';
import { ipcError, IPCError } from '../base/errors.ts';
import { functionOption, invalidOption } from '../base/options.ts';
import { Connection } from '../connection/connection.ts';
import { Turn } from '../connection/turn.ts';
import type { Contract } from '../protocol/contract.ts';
import type { Message } from '../protocol/messages.ts';
import { checkChannelName } from '../protocol/names.ts';
import { encodePayload, decodePayload, type PayloadCodec } from '../protocol/payload.ts';
import type { Wire } from '../transports/wire.ts';
import type { PayloadReader, Pending } from './calls.ts';
import { checkedHandler } from './checked-handler.ts';
import { type Disposer, disposer, Listeners } from './listeners.ts';
import { Lifecycle, type LifecycleOwner } from './lifecycle.ts';
import type { Link, LinkOwner } from './link.ts';
import { LegacyLink } from './legacy-link.ts';
import { NativeLink } from './native-link.ts';
import { OfflineQueue } from './offline-queue.ts';
import type { ClientSettings } from './options.ts';
import type { Platform } from './platform.ts';
import type { RequestHandler } from './serving.ts';
import { type Service, Standing } from './standing.ts';
import type { MessageHandler, Subscription, SubscriptionOwner } from './subscription.ts';
import { Timekeeper } from './timekeeper.ts';

/** What can happen to a client, with what listeners are given. */
export interface ClientEvents {
  /**
   * Online. Subscriptions and services were sent to the server again, and are not answered yet: `connect()` resolves
   * when they are. `returned` when it was online before.
   */
  readonly connected: [details: { readonly connectionId: string; readonly returned: boolean }];
  /** Not online any more. `returning` when it will be tried to come back. */
  readonly disconnected: [error: IPCError, returning: boolean];
  /** The next attempt to come back has its time. */
  readonly reconnecting: [details: { readonly attempt: number; readonly delayMs: number; readonly cause: IPCError }];
  /** Something failed that nobody awaits: a handler, a subscription that could not be restored, coming back. */
  readonly error: [error: IPCError];
}

/** What the system may hold before the connection counts as congested. */
const CONGESTED_BYTES = 1024 * 1024;
/** How long a server may take nothing of what is left for it after a goodbye. */
const FAREWELL_MS = 5000;

/** How long something may wait for a connection that nobody has asked for, until a word is said about it. */
const REMINDER_MS = 5000;

export class ClientCore implements LinkOwner, LifecycleOwner, SubscriptionOwner {
  readonly settings: ClientSettings;
  readonly times: Timekeeper;
  readonly lifecycle: Lifecycle;
  readonly events: { readonly [K in keyof ClientEvents]: Listeners<ClientEvents[K]> };
  readonly standing = new Standing((error) => this.report(error));
  readonly handlers = new Map<string, RequestHandler>();
  /** The connection, while it is online. */
  live: Link | undefined;
  /** Settles, and never rejects, when the server has answered for what stood before the connection. */
  restored: Promise<unknown> = Promise.resolve();
  readonly #platform: Platform;
  readonly #queue: OfflineQueue<Link>;
  readonly #notified = new Map<string, Listeners<[Message]>>();
  readonly #turn: Turn;
  #connections = 0;
  /** Listeners know it as connected. */
  #announced = false;
  /** It has ended, and not merely begun badly: what is asked for now would wait for nothing. */
  #closed = false;
  #cancelReminder: (() => void) | undefined;

  constructor(settings: ClientSettings, platform: Platform) {
    this.settings = settings;
    this.#platform = platform;
    this.times = new Timekeeper(platform.clock, platform.setTimer, () => this.#fresh);
    this.#turn = new Turn(platform.defer);
    this.lifecycle = new Lifecycle(this, settings, platform, this.times);
    this.#queue = new OfflineQueue(settings.offlineQueueBytesMax);
    const failed = (thrown: unknown) => this.#listenerFailed(thrown);
    this.events = {
      connected: new Listeners(failed),
      disconnected: new Listeners(failed),
      reconnecting: new Listeners(failed),
      error: new Listeners((thrown) =>
        queueMicrotask(() => {
          throw thrown;
        }),
      ),
    };
  }

  get appId(): string {
    return this.settings.appId;
  }

  get hello(): object {
    return this.settings.hello;
  }

  get codec(): PayloadCodec | undefined {
    return this.settings.codec;
  }

  get contract(): Contract<unknown> | undefined {
    return this.settings.contract;
  }

  /** What the contract makes of a response; undefined where it has nothing to say. */
  responseReader(channel: string): PayloadReader | undefined {
    const { contract } = this;
    if (contract === undefined) return undefined;
    return (payload) => contract.readReceived('response', channel, payload);
  }

  get outboxBytesMax(): number {
    return this.settings.outboxBytesMax;
  }

  get publishQueueBytesMax(): number {
    return this.settings.publishQueueBytesMax;
  }

  get requestsMax(): number {
    return this.settings.limits.requestsMax;
  }

  get streamWindowBytes(): number {
    return this.settings.limits.streamWindowBytes;
  }

  get queuedBytes(): number {
    return this.#queue.bytes + (this.live?.queuedBytes ?? 0);
  }

  /** Operations that are not answered, sent or not. */
  get pending(): number {
    return this.#queue.awaited + (this.live?.pending ?? 0);
  }

  /** Before the first connection: nothing is under way that would bring one. */
  get #fresh(): boolean {
    return this.lifecycle.state === 'idle' && !this.#closed;
  }

  now(): number {
    return this.#platform.now();
  }

  clock(): number {
    return this.#platform.clock();
  }

  /** Sends a request now, or when the connection is back. Throws what forbids both. */
  request(pending: Pending, channel: string, value: unknown, timeoutMs: number, streams: boolean): void {
    this.settings.contract?.checkSent('request', channel, value);
    if (this.live !== undefined) {
      this.live.request(pending, channel, value, timeoutMs, streams);
      return;
    }
    checkChannelName(channel);
    this.whenLive(pending, value, (link, kept) => {
      const left = timeoutMs === 0 ? 0 : Math.max(1, Math.ceil(pending.dueAt - this.clock()));
      link.request(pending, channel, kept, left, streams);
    });
  }

  /** Keeps something that is awaited until there is a connection, or until nobody awaits it any more. */
  whenLive(pending: Pending, value: unknown, run: (link: Link, value: unknown) => void): void {
    const remove = this.later(
      value,
      (link, kept) => {
        if (!pending.settled) run(link, kept);
      },
      (error) => pending.fail(error),
      true,
    );
    pending.link = { forget: remove };
  }

  /**
   * Keeps an operation until there is a connection, and gives what takes it out again. `drop` is told why it
   * will never be done; `awaited` when it is an operation that somebody awaits. Throws when nothing will connect,
   * when the options say to fail, and when too much waits.
   */
  later(
    value: unknown,
    run: (link: Link, value: unknown) => void,
    drop: (error: IPCError) => void,
    awaited = false,
  ): () => void {
    this.#mayWait();
    // As it is now, whatever happens to the object later; and an error about it is thrown here.
    const { content, bytes } = encodePayload(value, this.codec);
    const kept = decodePayload(content, bytes.slice(), this.codec);
    const guarded = (link: Link) => {
      try {
        run(link, kept);
      } catch (thrown) {
        drop(thrown instanceof IPCError ? thrown : ipcError('SYSTEM_UNEXPECTED', String(thrown), { cause: thrown }));
      }
    };
    return this.#queue.push(bytes.length, awaited, guarded, drop);
  }

  /**
   * Makes a subscription known: at once, or with the next connection. Before the first one there is nothing
   * to wait for: it stands, and what the server says against it ends it later.
   */
  subscribe(subscription: Subscription, signal: AbortSignal | undefined): Promise<unknown> {
    if (!this.#fresh) return this.#confirmed((link) => this.standing.subscribe(link, subscription), signal);
    this.#mayWait();
    this.standing.subscriptions.add(subscription);
    return Promise.resolve();
  }

  /** Offers a service, as `subscribe` makes a subscription known. */
  serve(service: Service, signal: AbortSignal | undefined): Promise<unknown> {
    if (!this.#fresh) return this.#confirmed((link) => this.standing.serve(link, service), signal);
    this.#mayWait();
    this.standing.services.set(service.channel, service);
    return Promise.resolve();
  }

  /** One handler a channel: two answers to one request would be one too many. */
  addHandler(channel: string, handler: RequestHandler): Disposer {
    functionOption('handler', handler);
    if (this.handlers.has(channel)) throw invalidOption('channel', channel, 'a channel that has no handler yet');
    const { contract } = this;
    const checked = contract === undefined ? handler : checkedHandler(contract, channel, handler);
    this.handlers.set(channel, checked);
    return disposer(() => {
      if (this.handlers.get(channel) === checked) this.handlers.delete(channel);
    });
  }

  addNotificationListener(channel: string, listener: MessageHandler): Disposer {
    let listeners = this.#notified.get(channel);
    if (listeners === undefined) {
      listeners = new Listeners((thrown) => this.handlerFailed(thrown, channel));
      this.#notified.set(channel, listeners);
    }
    const own = listeners;
    const remove = own.add(listener);
    return disposer(() => {
      remove();
      if (own.size === 0 && this.#notified.get(channel) === own) this.#notified.delete(channel);
    });
  }

  unsubscribe(subscription: Subscription): Promise<void> {
    return this.standing.unsubscribe(this.live, subscription);
  }

  unserve(service: Service): Promise<void> {
    return this.standing.unserve(this.live, service);
  }

  handlerOf(channel: string): RequestHandler | undefined {
    return this.handlers.get(channel);
  }

  notified(message: Message): void {
    this.#notified.get(message.channelId)?.emit(message);
  }

  handlerFailed(thrown: unknown, channel: string): void {
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    this.report(
      thrown instanceof IPCError
        ? thrown
        : ipcError('USAGE_HANDLER_FAILED', `a handler of '${channel}' threw: ${text}`, {
            cause: thrown,
            details: { channel },
          }),
    );
  }

  subscriptionEnded(subscription: Subscription, error: IPCError): void {
    this.standing.ended(subscription, error);
  }

  /** An error that nobody awaits. */
  report(error: IPCError): void {
    if (this.events.error.size > 0) this.events.error.emit(error);
    else this.#platform.warn(error);
  }

  link(wire: Wire): Link {
    const { limits, heartbeatIntervalMs, protocol } = this.settings;
    const { allocate, uniqueId } = this.#platform;
    const farewellMs = FAREWELL_MS;
    const outflow = { pool: this.#platform.pool, turn: this.#turn, congestedBytes: CONGESTED_BYTES, farewellMs };
    if (protocol === 'json') return new LegacyLink(this, wire, { ...outflow, limits, allocate, uniqueId });
    const connection = new Connection(wire, {
      role: 'client',
      limits,
      heartbeatIntervalMs,
      allocate: this.#platform.allocate,
      ...outflow,
      clock: this.#platform.clock,
    });
    return new NativeLink(this, connection);
  }

  opened(link: Link): void {
    this.lifecycle.opened(link);
  }

  closed(link: Link, error: IPCError): void {
    this.lifecycle.lost(link, error);
  }

  connecting(): void {
    this.#closed = false;
    this.#cancelReminder?.();
    this.#cancelReminder = undefined;
  }

  online(link: Link): void {
    this.live = link;
    this.#connections += 1;
    this.#announced = true;
    this.restored = this.standing.restore(link);
    this.#queue.flush(link);
    const { connectionId } = link.welcome;
    this.events.connected.emit({ connectionId, returned: this.#connections > 1 });
  }

  leaving(link: Link): void {
    if (this.live === link) this.live = undefined;
  }

  offline(error: IPCError, returning: boolean): void {
    const wasOnline = this.#announced;
    this.#announced = false;
    this.live = undefined;
    this.standing.detach();
    if (!returning) this.#over(error);
    if (wasOnline) this.events.disconnected.emit(error, returning);
    // Whoever awaits connect() or disconnect() is told there; coming back is awaited by nobody.
    if (!returning && this.#connections > 0 && error.code !== 'USAGE_CLOSED') this.report(error);
  }

  reconnecting(attempt: number, delayMs: number, cause: IPCError): void {
    this.events.reconnecting.emit({ attempt, delayMs, cause });
  }

  /** Nothing will come any more; or a first attempt has failed, and what stands waits for the next. */
  #over(error: IPCError): void {
    this.#closed = this.#connections > 0 || error.code === 'USAGE_CLOSED';
    this.#cancelReminder?.();
    this.#cancelReminder = undefined;
    this.#queue.drop(error);
    if (this.#closed) this.standing.end(error.code === 'USAGE_CLOSED' ? undefined : error);
  }

  /** On the connection; when that is still to come, in the order in which it was asked for. */
  #confirmed(run: (link: Link) => Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
    if (this.live !== undefined) return abortable(run(this.live), signal);
    let remove: (() => void) | undefined;
    const confirmed = new Promise((resolve, reject) => {
      remove = this.later(undefined, (link) => void run(link).then(resolve, reject), reject, true);
    });
    return abortable(confirmed, signal).finally(remove);
  }

  /** Throws unless a connection may come; says so once when nobody has asked for one. */
  #mayWait(): void {
    const { state } = this.lifecycle;
    if (state === 'closing' || this.#closed) throw ipcError('USAGE_CLOSED', 'the client is disconnected');
    if (this.settings.offline === 'fail') {
      const what = state === 'idle' ? 'is not connected: await connect() first' : `is ${state}`;
      throw ipcError('USAGE_NOT_CONNECTED', `the client ${what}`);
    }
    if (!this.#fresh) return;
    this.lifecycle.heed();
    // The timer keeps the process: it must not end as if everything had been done.
    this.#cancelReminder ??= this.#platform.setTimer(
      REMINDER_MS,
      () => {
        if (this.#queue.bytes === 0 && this.standing.empty) return;
        const text = `a client of '${this.appId}' waits for a connection, and connect() was not called`;
        this.#platform.warn(ipcError('USAGE_NOT_CONNECTED', text));
      },
      true,
    );
  }

  #listenerFailed(thrown: unknown): void {
    this.handlerFailed(thrown, 'events');
  }
}
