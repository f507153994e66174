// The client, as programs use it: the operations. What they do on a connection is in native-link.ts,
// when there is a connection in lifecycle.ts, what outlives a connection in core.ts.

import { abortable, onAbort } from '../base/abort.ts';
import { abortError, ipcError } from '../base/errors.ts';
import { booleanOption, functionOption, invalidOption, knownOptions, signalOption } from '../base/options.ts';
import type {
  AnyContract,
  EventChannel,
  EventOf,
  RequestChannel,
  ReceivedRequestOf,
  SentEventOf,
  SentResponseOf,
  WildcardPattern,
} from '../protocol/contract.ts';
import { type Message, MessageType } from '../protocol/messages.ts';
import { checkChannelName, checkPattern } from '../protocol/names.ts';
import { Acknowledgement, PayloadCall } from './calls.ts';
import { ChannelHandlers } from './channel-handlers.ts';
import type { Disposer } from './listeners.ts';
import {
  creditBytesOption,
  type PublishOptions,
  readRetain,
  REQUEST_OPTIONS,
  type RequestOptions,
  serveFields,
  type ServeOptions,
  subscribeFields,
} from './operation-options.ts';
import { type ClientOptions, timeoutOption } from './options.ts';
import type { Platform } from './platform.ts';
import { RequestingClient } from './requesting-client.ts';
import type { RequestHandler } from './serving.ts';
import type { Service } from './standing.ts';
import { type MessageHandler, type SubscribeOptions, Subscription } from './subscription.ts';

/** A client on any platform. Programs make an `IPCClient`, which brings the platform along. */
export class Client<C = AnyContract> extends RequestingClient<C> {
  readonly #channelHandlers: ChannelHandlers;

  constructor(appId: string, options: ClientOptions<C>, platform: Platform) {
    super(appId, options, platform);
    this.#channelHandlers = new ChannelHandlers(this.core, (channel, handler) => this.#subscribe(channel, handler, {}));
  }

  /** Tells the handlers of the channel something; nobody answers. Gives the id. Throws `LIMIT_OUTBOX` when too much waits. */
  notify(channel: string, data: unknown): string {
    const { core } = this;
    if (core.live !== undefined) core.live.notify(channel, data);
    else {
      checkChannelName(channel);
      core.later(
        data,
        (link, kept) => link.notify(channel, kept),
        (error) => core.report(error),
      );
    }
    return this.newId();
  }

  /**
   * Publishes to the subscribers of the channel and gives the id at once. While the server gives no credit,
   * because subscribers with the policy `block` are slow, up to `publishQueueBytesMax` bytes wait; then it
   * throws `LIMIT_OUTBOX`. Whoever publishes much awaits `publishReady`.
   */
  publish<K extends EventChannel<C>>(channel: K, data: SentEventOf<C, K>, options?: PublishOptions): string {
    const { core } = this;
    const retain = options === undefined ? false : readRetain(options);
    core.settings.contract?.checkSent('event', channel, data);
    if (core.live !== undefined) core.live.publish(channel, data, retain, undefined);
    else {
      checkChannelName(channel);
      core.later(
        data,
        (link, kept) => link.publish(channel, kept, retain, undefined),
        (error) => core.report(error),
      );
    }
    return this.newId();
  }

  /** Publishes only when it can leave at once; false when it cannot. Nothing waits, nothing is thrown for lack of room. */
  tryPublish<K extends EventChannel<C>>(channel: K, data: SentEventOf<C, K>, options?: PublishOptions): boolean {
    const link = this.core.live;
    if (link === undefined) checkChannelName(channel);
    if (link === undefined || !link.publishes(channel)) return false;
    this.core.settings.contract?.checkSent('event', channel, data);
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
      const { live } = this.core;
      if (live?.publishes(channel) === true) return;
      let forget: (() => void) | undefined;
      const changed = new Promise<void>((resolve, reject) => {
        forget =
          live === undefined
            ? this.core.later(undefined, () => resolve(), reject)
            : live.whenPublishes(channel, resolve);
      });
      await abortable(changed, signal).finally(forget);
    }
  }

  /**
   * Publishes once there is credit, and resolves to the number of subscribers that it was given to.
   * Rejects with what the server says against it (`REMOTE_FORBIDDEN`, …), or `NETWORK_LOST`: then it may
   * have been published or not.
   */
  async publishConfirmed<K extends EventChannel<C>>(
    channel: K,
    data: SentEventOf<C, K>,
    options: PublishOptions & RequestOptions = {},
  ): Promise<number> {
    knownOptions('publishConfirmed', options, ['retain', ...REQUEST_OPTIONS]);
    const retain = booleanOption('retain', options.retain, false);
    const timeoutMs = timeoutOption(options.timeout, this.core.settings.requestTimeoutMs);
    const signal = signalOption('signal', options.signal);
    checkChannelName(channel);
    if (signal?.aborted === true) throw abortError(signal);
    this.core.settings.contract?.checkSent('event', channel, data);
    const call = new Acknowledgement(this.core.times);
    call.limit(timeoutMs, signal);
    try {
      const link = this.core.live;
      if (link !== undefined) link.publish(channel, data, retain, call);
      else this.core.whenLive(call, data, (next, kept) => next.publish(channel, kept, retain, call));
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
   * Before the first `connect()` it resolves at once, and the subscription is made with the connection; what
   * the server then says against it ends it and is an `error` event. With `offline: 'fail'` it rejects with
   * `USAGE_NOT_CONNECTED`.
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
    if (handler === undefined && second !== undefined) functionOption('handler', first);
    return this.#subscribe(pattern, handler as MessageHandler | undefined, options);
  }

  /** Ends all of this client's subscriptions to the channel or pattern. */
  async unsubscribe(pattern: string): Promise<void> {
    checkPattern(pattern);
    const all = [...this.core.standing.subscriptions].filter((one) => one.pattern === pattern);
    await Promise.all(all.map((one) => one.unsubscribe()));
  }

  /** The next message that is published on the channel. Rejects with `TIME_OUT`. `timeout` 0 waits for ever. Default: `requestTimeout`. */
  async waitForMessage<K extends EventChannel<C> | WildcardPattern>(
    channel: K,
    timeout?: number,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Message<EventOf<C, K>>> {
    const timeoutMs = timeoutOption(timeout, this.core.settings.requestTimeoutMs);
    knownOptions('waitForMessage', options, ['signal']);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    // Whatever ends the wait ends it at every stage: while subscribing, too.
    const wait = new PayloadCall(this.core.times, undefined, undefined);
    const over = new AbortController();
    wait.limit(timeoutMs, signal);
    wait.promise.catch((error: unknown) => over.abort(error));
    try {
      await using subscription = await this.#subscribe(channel, undefined, { retained: false, signal: over.signal });
      const result = await subscription.next();
      if (result.done === true) {
        throw over.signal.aborted ? abortError(over.signal) : ipcError('USAGE_CLOSED', 'the client was disconnected');
      }
      return result.value as Message<EventOf<C, K>>;
    } finally {
      wait.finish();
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
   * to one of those who serve the channel. Resolves, once the server has agreed, to what ends it. Restored
   * after a reconnect. Before the first `connect()` it resolves at once, as `subscribe` does.
   *
   * Rejects with `USAGE_INVALID_OPTION` when the channel has a handler here, `LIMIT_SUBSCRIPTIONS`,
   * `REMOTE_FORBIDDEN` and the like.
   *
   * @example
   * ```ts
   * await client.serve('resize', async ({ payload }, { signal }) => resize(payload, { signal }), { maxInFlight: 4 });
   * ```
   */
  async serve<K extends RequestChannel<C>>(
    channel: K,
    handler: RequestHandler<ReceivedRequestOf<C, K>, SentResponseOf<C, K>>,
    options: ServeOptions = {},
  ): Promise<AsyncDisposable & { unserve(): Promise<void> }> {
    checkChannelName(channel);
    const fields = serveFields(channel, options);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    const { core } = this;
    const remove = this.handle(channel, handler);
    let unlisten: (() => void) | undefined;
    const release = () => {
      remove();
      unlisten?.();
    };
    const service: Service = { channel, fields, id: 0, release };
    const unserve = () => core.unserve(service);
    const abort = () => void unserve().catch(() => {});
    try {
      await core.serve(service, signal);
    } catch (thrown) {
      abort();
      release();
      throw thrown;
    }
    if (signal !== undefined) unlisten = onAbort(signal, abort);
    return { unserve, [Symbol.asyncDispose]: unserve };
  }

  /** Answers requests that the server sends to this connection. Throws when the channel has a handler. */
  handle<K extends RequestChannel<C>>(
    channel: K,
    handler: RequestHandler<ReceivedRequestOf<C, K>, SentResponseOf<C, K>>,
  ): Disposer {
    checkChannelName(channel);
    return this.core.addHandler(channel, handler as RequestHandler);
  }

  /** Listens to what the server tells this connection on the channel. */
  onNotification(channel: string, handler: MessageHandler): Disposer {
    checkChannelName(channel);
    functionOption('handler', handler);
    return this.core.addNotificationListener(channel, handler);
  }

  async #subscribe(
    pattern: string,
    handler: MessageHandler | undefined,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    checkPattern(pattern);
    const fields = subscribeFields(pattern, options);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    const { core } = this;
    const subscription = new Subscription(core, pattern, fields, creditBytesOption(options), handler);
    try {
      await core.subscribe(subscription, signal);
    } catch (thrown) {
      subscription.unsubscribe().catch(() => {});
      throw thrown;
    }
    if (signal !== undefined) subscription.endOn(signal);
    return subscription;
  }
}
