// The client, as programs use it: the operations. What they do on a connection is in native-link.ts,
// when there is a connection in lifecycle.ts, what outlives a connection in core.ts.

import { abortError, ipcError } from '../base/errors.ts';
import { booleanOption, invalidOption, knownOptions } from '../base/options.ts';
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
import type { ClientCore, Service } from './core.ts';
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
import { type ClientOptions, signalOption, timeoutOption } from './options.ts';
import type { Platform } from './platform.ts';
import { RequestingClient } from './requesting-client.ts';
import type { RequestHandler } from './serving.ts';
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
      const link = await this.#link();
      if (link.publishes(channel)) return;
      await new Promise<void>((resolve, reject) => {
        const abort = () => reject(abortError(signal as AbortSignal));
        signal?.addEventListener('abort', abort, { once: true });
        link.whenPublishes(channel, () => {
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
      else
        this.core.later(
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
    const all = [...this.core.subscriptions].filter((one) => one.pattern === pattern);
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
    const wait = new PayloadCall(this.core.times, undefined, undefined);
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
    handler: RequestHandler<ReceivedRequestOf<C, K>, SentResponseOf<C, K>>,
    options: ServeOptions = {},
  ): Promise<AsyncDisposable & { unserve(): Promise<void> }> {
    checkChannelName(channel);
    const fields = serveFields(channel, options);
    const { core } = this;
    const remove = this.handle(channel, handler);
    const service: Service = { channel, fields, id: 0 };
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
    handler: RequestHandler<ReceivedRequestOf<C, K>, SentResponseOf<C, K>>,
  ): Disposer {
    checkChannelName(channel);
    return this.core.addHandler(channel, handler as RequestHandler);
  }

  /** Listens to what the server tells this connection on the channel. */
  onNotification(channel: string, handler: (message: Message) => void): Disposer {
    checkChannelName(channel);
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
    const { core } = this;
    if (core.live !== undefined) return Promise.resolve(core.live);
    return new Promise((resolve, reject) => {
      core.later(undefined, (link) => resolve(link), reject);
    });
  }
}
