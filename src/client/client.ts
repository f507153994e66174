// The client, as programs use it: the operations. What they do on a connection is in native-link.ts,
// when there is a connection in lifecycle.ts, what outlives a connection in core.ts.

import { abortError, ipcError, type IPCError, toError } from '../base/errors.ts';
import { booleanOption, choiceOption, integerOption, invalidOption, knownOptions } from '../base/options.ts';
import type {
  AnyContract,
  EventChannel,
  EventOf,
  RequestChannel,
  RequestOf,
  ResponseOf,
  WildcardPattern,
} from '../protocol/contract.ts';
import { type Message, MessageType } from '../protocol/messages.ts';
import { checkChannelName, checkPattern } from '../protocol/names.ts';
import { OUTBOX_POLICIES } from '../protocol/policies.ts';
import { Acknowledgement, PayloadCall } from './calls.ts';
import { ChannelHandlers } from './channel-handlers.ts';
import { type ClientEvents, ClientCore, type Service } from './core.ts';
import { type ConnectionInfo, connectionInfo, type Health } from './info.ts';
import type { Disposer } from './listeners.ts';
import { CallbackCall, MessageCall, type ResponseCallback } from './message-calls.ts';
import { type ClientOptions, readClientOptions, signalOption, timeoutOption } from './options.ts';
import type { Platform } from './platform.ts';
import { ResponseStream } from './response-stream.ts';
import type { RequestHandler } from './serving.ts';
import { type MessageHandler, type SubscribeOptions, Subscription } from './subscription.ts';

export interface RequestOptions {
  /** Milliseconds; 0 = none. Default: `requestTimeout` of the client. */
  readonly timeout?: number;
  /** Cancels the request, at the handler too. */
  readonly signal?: AbortSignal;
}

export interface SendRequestOptions extends RequestOptions {
  /** Resolve to null at the time-out, as the original did, in place of rejecting. Default false. */
  readonly nullOnTimeout?: boolean;
}

export interface PublishOptions {
  /** Keep it as the channel's last value, for subscribers to come. Default false. */
  readonly retain?: boolean;
}

export interface ServeOptions {
  /** Requests that this client takes at a time. 1 to 1,000,000. Default: the server's. */
  readonly maxInFlight?: number;
}

const REQUEST_OPTIONS = ['timeout', 'signal'];
const SEND_REQUEST_OPTIONS = [...REQUEST_OPTIONS, 'nullOnTimeout'];
const SUBSCRIBE_OPTIONS = ['policy', 'outboxBytesMax', 'creditBytes', 'retained', 'signal'];
const DEFAULT_CREDIT_BYTES = 1024 * 1024;
const BYTES_MAX = 0x4000_0000;
const PING_TIMEOUT_MS = 2000;

/** A client on any platform. Programs make an `IPCClient`, which brings the platform along. */
export class Client<C = AnyContract> implements AsyncDisposable {
  readonly #core: ClientCore;
  readonly #channelHandlers: ChannelHandlers;
  #sent = 0;
  #idPrefix = 'new-';

  constructor(appId: string, options: ClientOptions, platform: Platform) {
    const settings = readClientOptions(appId, options);
    this.#core = new ClientCore(settings, platform);
    this.#channelHandlers = new ChannelHandlers(this.#core, (channel, handler) =>
      this.#subscribe(channel, handler, {}),
    );
    this.#core.events.connected.add(({ connectionId }) => {
      this.#idPrefix = `${connectionId}-`;
    });
    const { signal } = settings;
    if (signal !== undefined) {
      signal.addEventListener('abort', () => void this.disconnect(), { once: true });
    }
  }

  get appId(): string {
    return this.#core.appId;
  }

  get connected(): boolean {
    return this.#core.live !== undefined;
  }

  /** Given by the server, new for each connection; null while offline. */
  get connectionId(): string | null {
    return this.#core.live?.welcome.connectionId ?? null;
  }

  isConnected(): boolean {
    return this.connected;
  }

  /**
   * Connects, and resolves when the server has welcomed the client. Calls at the same time share one
   * attempt; when connected it resolves at once. One attempt is made: it is for the caller to try again.
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
    const { signal } = this.#core.settings;
    if (signal?.aborted === true) throw abortError(signal);
    await this.#core.lifecycle.connect(signalOption('signal', options.signal));
  }

  /**
   * Says goodbye and resolves when everything is closed. What is not answered rejects with `USAGE_CLOSED`,
   * subscriptions end. Calling it again does no harm; `connect` begins anew.
   */
  disconnect(): Promise<void> {
    return this.#core.lifecycle.disconnect();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /** Listens to what happens to the client; gives what takes the listener out again. */
  on<K extends keyof ClientEvents>(event: K, listener: (...args: ClientEvents[K]) => void): Disposer {
    const listeners = this.#core.events[event];
    if (listeners === undefined) throw invalidOption('event', event, Object.keys(this.#core.events).join(', '));
    return listeners.add(listener);
  }

  onConnected(listener: (...args: ClientEvents['connected']) => void): Disposer {
    return this.on('connected', listener);
  }

  onDisconnected(listener: (...args: ClientEvents['disconnected']) => void): Disposer {
    return this.on('disconnected', listener);
  }

  onError(listener: (...args: ClientEvents['error']) => void): Disposer {
    return this.on('error', listener);
  }

  /**
   * Sends a request and gives the payload of the response.
   *
   * Rejects with the handler's error (`REMOTE_*`), `TIME_OUT`, `TIME_CANCELLED`, `NETWORK_LOST`, or the
   * code of what forbids to send.
   *
   * @example
   * ```ts
   * const sum = await client.call('sum', [1, 2, 3], { timeout: 1000 });
   * ```
   */
  call<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options?: RequestOptions,
  ): Promise<ResponseOf<C, K>> {
    const core = this.#core;
    const call = new PayloadCall(core.times, core.codec);
    return this.#request(call, channel, data, options, REQUEST_OPTIONS) as Promise<ResponseOf<C, K>>;
  }

  /** Like `call`, and gives the whole message. With `nullOnTimeout` it gives null at the time-out. */
  sendRequest<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options: SendRequestOptions & { readonly nullOnTimeout: true },
  ): Promise<Message<ResponseOf<C, K>> | null>;
  sendRequest<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options?: SendRequestOptions,
  ): Promise<Message<ResponseOf<C, K>>>;
  sendRequest(channel: string, data: unknown, options?: SendRequestOptions): Promise<unknown> {
    const nullOnTimeout = booleanOption('nullOnTimeout', options?.nullOnTimeout, false);
    const call = new MessageCall(this.#core, channel, this.#newId(), nullOnTimeout);
    return this.#request(call, channel, data, options, SEND_REQUEST_OPTIONS);
  }

  /** Sends a request whose response, or error, is given to a callback. Gives the id of the request. */
  sendRequestAsync<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    callback: ResponseCallback<ResponseOf<C, K>>,
    options: RequestOptions = {},
  ): string {
    checkChannelName(channel);
    knownOptions('sendRequestAsync', options, REQUEST_OPTIONS);
    const id = this.#newId();
    const call = new CallbackCall(this.#core, channel, id, callback as ResponseCallback);
    const timeoutMs = timeoutOption(options.timeout, this.#core.settings.requestTimeoutMs);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    call.limit(timeoutMs, signal);
    try {
      this.#core.request(call, channel, data, timeoutMs, false);
    } catch (thrown) {
      call.finish();
      throw thrown;
    }
    return id;
  }

  /** Sends a request and does not wait: an error goes to the `error` event. Gives the id. */
  request<K extends RequestChannel<C>>(channel: K, data: RequestOf<C, K>): string {
    return this.sendRequestAsync(channel, data, (_response, error) => {
      if (error !== null) this.#core.report(error);
    });
  }

  /**
   * The responses of a handler that streams, with backpressure: the handler waits when nobody takes.
   * The request leaves with the first `next()`; leaving the loop cancels it. `timeout` bounds the whole
   * stream. Default: none.
   *
   * @example
   * ```ts
   * for await (const line of client.stream('log', { follow: true })) console.log(line);
   * ```
   */
  stream<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options: RequestOptions = {},
  ): ResponseStream<ResponseOf<C, K>> {
    checkChannelName(channel);
    knownOptions('stream', options, REQUEST_OPTIONS);
    const core = this.#core;
    const timeoutMs = timeoutOption(options.timeout, 0);
    const { times, codec, streamWindowBytes } = core;
    const owner = {
      times,
      codec,
      streamWindowBytes,
      begin: (request: Parameters<ClientCore['request']>[0]) => core.request(request, channel, data, timeoutMs, true),
    };
    return new ResponseStream<ResponseOf<C, K>>(owner, timeoutMs, signalOption('signal', options.signal));
  }

  /** Tells the handlers of the channel something; nobody answers. Gives the id. Throws `LIMIT_OUTBOX` when too much waits. */
  notify(channel: string, data: unknown): string {
    const core = this.#core;
    if (core.live !== undefined) core.live.notify(channel, data);
    else {
      checkChannelName(channel);
      core.later(
        data,
        (link, kept) => link.notify(channel, kept),
        (error) => core.report(error),
      );
    }
    return this.#newId();
  }

  /**
   * Publishes to the subscribers of the channel and gives the id at once. While the server gives no credit,
   * because subscribers with the policy `block` are slow, up to `publishQueueBytesMax` bytes wait; then it
   * throws `LIMIT_OUTBOX`. Whoever publishes much awaits `publishReady`.
   */
  publish<K extends EventChannel<C>>(channel: K, data: EventOf<C, K>, options?: PublishOptions): string {
    const core = this.#core;
    const retain = options === undefined ? false : readRetain(options);
    if (core.live !== undefined) core.live.publish(channel, data, retain, undefined);
    else {
      checkChannelName(channel);
      core.later(
        data,
        (link, kept) => link.publish(channel, kept, retain, undefined),
        (error) => core.report(error),
      );
    }
    return this.#newId();
  }

  /** Publishes only when it can leave at once; false when it cannot. Nothing waits, nothing is thrown for lack of room. */
  tryPublish<K extends EventChannel<C>>(channel: K, data: EventOf<C, K>, options?: PublishOptions): boolean {
    const link = this.#core.live;
    if (link === undefined || !link.channel(channel).open) return false;
    link.publish(channel, data, options === undefined ? false : readRetain(options), undefined);
    return true;
  }

  /** Resolves when a publish on the channel would leave at once. */
  async publishReady(channel: EventChannel<C>, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkChannelName(channel);
    knownOptions('publishReady', options, ['signal']);
    const signal = signalOption('signal', options.signal);
    for (;;) {
      if (signal?.aborted === true) throw abortError(signal);
      const link = await this.#link();
      const out = link.channel(channel);
      if (out.open) return;
      await new Promise<void>((resolve, reject) => {
        const abort = () => reject(abortError(signal as AbortSignal));
        signal?.addEventListener('abort', abort, { once: true });
        out.whenOpen(() => {
          signal?.removeEventListener('abort', abort);
          resolve();
        });
      });
    }
  }

  /**
   * Publishes once there is credit, and resolves to the number of subscribers that it was given to.
   * Rejects with what the server says against it (`REMOTE_FORBIDDEN`, …), or `NETWORK_LOST`: then it may
   * have been published or not.
   */
  async publishConfirmed<K extends EventChannel<C>>(
    channel: K,
    data: EventOf<C, K>,
    options: PublishOptions & RequestOptions = {},
  ): Promise<number> {
    knownOptions('publishConfirmed', options, ['retain', ...REQUEST_OPTIONS]);
    const retain = booleanOption('retain', options.retain, false);
    const timeoutMs = timeoutOption(options.timeout, this.#core.settings.requestTimeoutMs);
    const signal = signalOption('signal', options.signal);
    checkChannelName(channel);
    if (signal?.aborted === true) throw abortError(signal);
    const call = new Acknowledgement(this.#core.times);
    call.limit(timeoutMs, signal);
    try {
      const link = this.#core.live;
      if (link !== undefined) link.publish(channel, data, retain, call);
      else
        this.#core.later(
          data,
          (next, kept) => {
            if (!call.settled) next.publish(channel, kept, retain, call);
          },
          (error) => call.fail(error),
        );
    } catch (thrown) {
      call.finish();
      throw thrown;
    }
    return call.promise;
  }

  /** The original's way to send: `type` is `request`, `notification` or `publish`. Gives the id. */
  sendMessage(channel: string, type: MessageType, payload: unknown): string {
    const any = this as unknown as Client;
    switch (type) {
      case MessageType.REQUEST:
        return any.request(channel, payload);
      case MessageType.NOTIFICATION:
        return this.notify(channel, payload);
      case MessageType.PUBLISH:
        return any.publish(channel, payload);
      default:
        throw invalidOption('type', type, 'request, notification or publish; subscribe() and handlers do the rest');
    }
  }

  /**
   * Subscribes to a channel or a pattern (`orders.*`, `orders.>`) and resolves once the server has
   * confirmed. With a handler, messages go there; without one, they are taken by iterating. Restored after
   * a reconnect. Rejects with `USAGE_INVALID_NAME`, `LIMIT_SUBSCRIPTIONS`, `REMOTE_FORBIDDEN` and the like.
   *
   * @example
   * ```ts
   * const subscription = await client.subscribe('orders.*', ({ channelId, payload }) => store(channelId, payload));
   * await subscription.unsubscribe();
   * ```
   */
  subscribe<K extends EventChannel<C> | WildcardPattern>(
    pattern: K,
    handler: MessageHandler<EventOf<C, K>>,
    options?: SubscribeOptions,
  ): Promise<Subscription<EventOf<C, K>>>;
  subscribe<K extends EventChannel<C> | WildcardPattern>(
    pattern: K,
    options?: SubscribeOptions,
  ): Promise<Subscription<EventOf<C, K>>>;
  async subscribe(
    pattern: string,
    first?: MessageHandler<never> | SubscribeOptions,
    second?: SubscribeOptions,
  ): Promise<unknown> {
    const handler = typeof first === 'function' ? first : undefined;
    const options = (typeof first === 'function' ? second : (first ?? second)) ?? {};
    return this.#subscribe(pattern, handler as MessageHandler | undefined, options);
  }

  /** Ends all of this client's subscriptions to the channel or pattern. */
  async unsubscribe(pattern: string): Promise<void> {
    checkPattern(pattern);
    const all = [...this.#core.subscriptions].filter((one) => one.pattern === pattern);
    await Promise.all(all.map((one) => one.unsubscribe()));
  }

  /** The next message that is published on the channel. Rejects with `TIME_OUT`. `timeout` 0 waits for ever. Default: `requestTimeout`. */
  async waitForMessage<K extends EventChannel<C> | WildcardPattern>(
    channel: K,
    timeout?: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Message<EventOf<C, K>>> {
    const timeoutMs = timeoutOption(timeout, this.#core.settings.requestTimeoutMs);
    knownOptions('waitForMessage', options, ['signal']);
    const wait = new PayloadCall(this.#core.times, undefined);
    wait.limit(timeoutMs, signalOption('signal', options.signal));
    wait.promise.catch(() => {});
    const subscription = await this.#subscribe(channel, undefined, { retained: false });
    try {
      const next = subscription.next().then((result) => {
        if (result.done === true) throw ipcError('USAGE_CLOSED', 'the client was disconnected');
        return result.value;
      });
      next.catch(() => {});
      return (await Promise.race([next, wait.promise])) as Message<EventOf<C, K>>;
    } finally {
      wait.finish();
      await subscription.unsubscribe();
    }
  }

  /** Handles every message that reaches this client on the channel: what is published, and what the server tells it. */
  createChannelHandler(channel: string, handler: MessageHandler): Promise<void> {
    return this.#channelHandlers.create(channel, handler);
  }

  /** Takes the handlers of `createChannelHandler` out again. */
  removeChannelHandler(channel: string): Promise<void> {
    return this.#channelHandlers.remove(channel);
  }

  /**
   * Answers requests that clients send on the channel, as one of a work group: the server gives each request
   * to one of those who serve the channel. Resolves, once the server has agreed, to what ends it.
   *
   * @example
   * ```ts
   * await client.serve('resize', async ({ payload }, { signal }) => resize(payload, { signal }), { maxInFlight: 4 });
   * ```
   */
  async serve<K extends RequestChannel<C>>(
    channel: K,
    handler: RequestHandler<RequestOf<C, K>, ResponseOf<C, K>>,
    options: ServeOptions = {},
  ): Promise<AsyncDisposable & { unserve(): Promise<void> }> {
    checkChannelName(channel);
    knownOptions('serve', options, ['maxInFlight']);
    const { maxInFlight } = options;
    if (maxInFlight !== undefined) integerOption('maxInFlight', maxInFlight, { default: 1, min: 1, max: 1_000_000 });
    const core = this.#core;
    const remove = this.handle(channel, handler);
    const service: Service = {
      channel,
      fields: maxInFlight === undefined ? { channel } : { channel, maxInFlight },
      id: 0,
    };
    try {
      const link = await this.#link();
      core.services.set(channel, service);
      const { id, acknowledged } = link.serve(service.fields);
      service.id = id;
      await acknowledged;
    } catch (thrown) {
      core.services.delete(channel);
      remove();
      throw thrown;
    }
    const unserve = () => core.unserve(service);
    return { unserve, [Symbol.asyncDispose]: unserve };
  }

  /** Answers requests that the server sends to this connection. Throws when the channel has a handler. */
  handle<K extends RequestChannel<C>>(
    channel: K,
    handler: RequestHandler<RequestOf<C, K>, ResponseOf<C, K>>,
  ): Disposer {
    checkChannelName(channel);
    return this.#core.addHandler(channel, handler as RequestHandler);
  }

  /** Listens to what the server tells this connection on the channel. */
  onNotification(channel: string, handler: (message: Message) => void): Disposer {
    checkChannelName(channel);
    return this.#core.addNotificationListener(channel, handler);
  }

  /** The time to the server and back, in milliseconds. Rejects with `TIME_OUT` after `timeout` milliseconds, default 2,000. */
  async ping(timeout = PING_TIMEOUT_MS): Promise<number> {
    const timeoutMs = timeoutOption(timeout, PING_TIMEOUT_MS);
    const link = this.#core.live;
    if (link === undefined) throw ipcError('USAGE_NOT_CONNECTED', 'the client is not connected');
    const call = new Acknowledgement(this.#core.times);
    call.limit(timeoutMs, undefined);
    const begun = this.#core.clock();
    link.ping(call);
    await call.promise;
    return this.#core.clock() - begun;
  }

  /** Whether the server answers now, and how fast. Never rejects. */
  async healthCheck(): Promise<Health> {
    try {
      const latencyMs = await this.ping();
      return { healthy: true, connected: true, latencyMs, error: null };
    } catch (thrown) {
      return { healthy: false, connected: this.connected, latencyMs: null, error: toError(thrown) as IPCError };
    }
  }

  getConnectionInfo(): ConnectionInfo {
    return connectionInfo(this.#core);
  }

  #newId(): string {
    this.#sent += 1;
    return this.#idPrefix + this.#sent;
  }

  #request<R>(
    call: PayloadCall | MessageCall,
    channel: string,
    data: unknown,
    options: SendRequestOptions | undefined,
    known: readonly string[],
  ): Promise<R> {
    const core = this.#core;
    let timeoutMs = core.settings.requestTimeoutMs;
    try {
      let signal: AbortSignal | undefined;
      if (options !== undefined) {
        knownOptions('options', options, known);
        timeoutMs = timeoutOption(options.timeout, timeoutMs);
        signal = signalOption('signal', options.signal);
        if (signal?.aborted === true) throw abortError(signal);
      }
      call.limit(timeoutMs, signal);
      core.request(call, channel, data, timeoutMs, false);
    } catch (thrown) {
      call.finish();
      return Promise.reject(toError(thrown));
    }
    return call.promise as Promise<R>;
  }

  async #subscribe(
    pattern: string,
    handler: MessageHandler | undefined,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    checkPattern(pattern);
    knownOptions('subscribe', options, SUBSCRIBE_OPTIONS);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    const creditBytes = integerOption('creditBytes', options.creditBytes, {
      default: DEFAULT_CREDIT_BYTES,
      min: 1024,
      max: BYTES_MAX,
    });
    const core = this.#core;
    const subscription = new Subscription(core, pattern, subscribeFields(pattern, options), creditBytes, handler);
    const link = await this.#link();
    core.subscriptions.add(subscription);
    try {
      await link.subscribe(subscription);
    } catch (thrown) {
      core.subscriptions.delete(subscription);
      link.dropSubscription(subscription.id);
      throw thrown;
    }
    signal?.addEventListener('abort', () => void subscription.unsubscribe().catch(() => {}), { once: true });
    return subscription;
  }

  /** The connection, when there is one; throws when there will be none. */
  #link(): Promise<NonNullable<ClientCore['live']>> {
    const core = this.#core;
    if (core.live !== undefined) return Promise.resolve(core.live);
    return new Promise((resolve, reject) => {
      core.later(undefined, (link) => resolve(link), reject);
    });
  }
}

function readRetain(options: PublishOptions): boolean {
  knownOptions('publish', options, ['retain']);
  return booleanOption('retain', options.retain, false);
}

function subscribeFields(pattern: string, options: SubscribeOptions): object {
  const { outboxBytesMax } = options;
  const policy =
    options.policy === undefined ? undefined : choiceOption('policy', options.policy, OUTBOX_POLICIES, 'block');
  if (outboxBytesMax !== undefined) {
    integerOption('outboxBytesMax', outboxBytesMax, { default: 1, min: 1, max: BYTES_MAX });
  }
  const retained = options.retained === undefined ? undefined : booleanOption('retained', options.retained, true);
  return { pattern, policy, outboxBytesMax, retained };
}
