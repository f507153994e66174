// A channel of an application: what belongs to it, and the face of it that users hold. Everything that
// reaches past the channel itself goes through `owner` (its application) or `outlet` (the layer above).

import { ipcError, type IPCError } from '../base/errors.ts';
import { invalidOption } from '../base/options.ts';
import { MessageType } from '../protocol/messages.ts';
import type { Audience } from './audience.ts';
import { type ChannelOptions, channelSettings, type ChannelSettings } from './channel-options.ts';
import { type Middleware, MiddlewareStack } from './middleware.ts';
import type { PresenceEvent } from './presence.ts';
import type { Kept, RetainedValue } from './retained.ts';
import type { BrokerTypes, Handler } from './types.ts';
import { WorkGroup } from './work-group.ts';

/** What the layer above lends to the broker. */
export interface Outlet<B extends BrokerTypes> {
  /** Milliseconds since the epoch, for calls that users make without saying when. */
  now(): number;
  /** A copy of a message that may be held for long, and what it costs in bytes. */
  keep(message: B['publication']): Kept<B['publication']>;
  /** `Channel.publish` of a user ends here. */
  publish(channel: Channel<B>, payload: unknown, options: B['publishOptions']): B['published'];
  /** A user removed a channel: here is who has to be told. */
  channelRemoved(removed: RemovedChannel<B>): void;
}

export interface RemovedChannel<B extends BrokerTypes> {
  readonly channel: Channel<B>;
  /** Direct subscriptions that ended with it. */
  readonly subscribers: readonly B['subscriber'][];
  /** Requests that its workers had not answered. */
  readonly unanswered: readonly B['request'][];
  readonly presence: readonly PresenceEvent<B['connection']>[];
}

/** What follows from a subscription. */
export interface Subscribed<B extends BrokerTypes> {
  /** `false` where this entry was subscribed already; then nothing follows. */
  readonly added: boolean;
  /** The channel; `undefined` for a pattern. */
  readonly channel: Channel<B> | undefined;
  /** The last values that the new subscriber is due. */
  readonly retained: readonly RetainedValue<Channel<B>, B['publication']>[];
  readonly presence: PresenceEvent<B['connection']> | undefined;
}

export interface Unsubscribed<B extends BrokerTypes> {
  readonly removed: boolean;
  readonly presence: PresenceEvent<B['connection']> | undefined;
}

/** What a channel asks of its application. */
export interface ChannelOwner<B extends BrokerTypes> {
  readonly outlet: Outlet<B>;
  subscribeTo(channelId: string, subscriber: B['subscriber'], now: number): Subscribed<B>;
  unsubscribe(subscriber: B['subscriber'], now: number): Unsubscribed<B>;
}

export interface ChannelInit<B extends BrokerTypes> {
  readonly channelId: string;
  readonly appId: string;
  readonly number: number;
  readonly createdAt: number;
  readonly settings: ChannelSettings;
  readonly audience: Audience<B['subscriber']>;
  readonly middleware: MiddlewareStack<B['message'], B['context']>;
  readonly owner: ChannelOwner<B>;
}

/**
 * A channel: subscribers hear what is published to it, handlers or workers answer what is asked of it.
 *
 * @example
 * ```ts
 * const channel = server.createApplication('shop').createChannel('orders.eu', { retain: true });
 * channel.setHandler('request', (message) => ({ accepted: message.payload }));
 * channel.publish({ id: 7 });
 * ```
 */
export class Channel<B extends BrokerTypes> {
  /** Its name. */
  readonly channelId: string;
  /** The application that it belongs to. */
  readonly appId: string;
  /** Unique among the living channels of one server, 1 to 2^32-1. */
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The connections that serve this channel's requests. */
  readonly workers = new WorkGroup<B['connection'], B['request']>();
  /** What its messages pass; `use` adds to it. */
  readonly middleware: MiddlewareStack<B['message'], B['context']>;
  readonly #audience: Audience<B['subscriber']>;
  readonly #owner: ChannelOwner<B>;
  /** Every type has its place from the start, so that looking one up stays cheap. */
  readonly #handlers: Record<MessageType, Handler<B> | undefined> = {
    request: undefined,
    response: undefined,
    notification: undefined,
    subscribe: undefined,
    unsubscribe: undefined,
    publish: undefined,
  };
  #settings: ChannelSettings;
  #explicit = false;
  #removed = false;
  #touched = false;

  constructor(init: ChannelInit<B>) {
    this.channelId = init.channelId;
    this.appId = init.appId;
    this.number = init.number;
    this.createdAt = init.createdAt;
    this.middleware = new MiddlewareStack(init.middleware);
    this.#settings = init.settings;
    this.#audience = init.audience;
    this.#owner = init.owner;
  }

  /** Its options, with every default in place. */
  get settings(): ChannelSettings {
    return this.#settings;
  }

  /** Removed, or given up because nobody was interested; its name may belong to a newer channel. */
  get removed(): boolean {
    return this.#removed;
  }

  /** Everybody who hears a publish, wildcard subscribers too: one entry for each subscription. Never changed once given. */
  get receivers(): readonly B['subscriber'][] {
    return this.#audience.receivers;
  }

  /** How many direct subscriptions there are. */
  get subscriberCount(): number {
    return this.#audience.direct.size;
  }

  /** Would anybody miss it? Who made it, set a handler or middleware, subscribed or serves, would. */
  get wanted(): boolean {
    return this.#explicit || this.subscriberCount > 0 || this.workers.size > 0;
  }

  /** The direct subscriptions, without those of wildcards. */
  getSubscribers(): readonly B['subscriber'][] {
    return [...this.#audience.direct];
  }

  /** Subscribes to exactly this name, even where it reads like a pattern. */
  addSubscriber(subscriber: B['subscriber'], now: number = this.#owner.outlet.now()): Subscribed<B> {
    return this.#owner.subscribeTo(this.channelId, subscriber, now);
  }

  /** Ends a subscription to exactly this name. */
  removeSubscriber(subscriber: B['subscriber'], now: number = this.#owner.outlet.now()): Unsubscribed<B> {
    if (!this.#audience.direct.has(subscriber)) return { removed: false, presence: undefined };
    return this.#owner.unsubscribe(subscriber, now);
  }

  /**
   * Sets what handles messages of a type; `undefined` takes the handler away. Raises
   * `USAGE_INVALID_OPTION` for another type, `USAGE_CLOSED` where the channel was removed.
   */
  setHandler(type: MessageType, handler: Handler<B> | undefined): this {
    checkType(type);
    if (handler !== undefined && typeof handler !== 'function') throw invalidOption('handler', handler, 'a function');
    this.claim();
    this.#handlers[type] = handler;
    return this;
  }

  /** The handler of this kind of message, if there is one. */
  getHandler(type: MessageType): Handler<B> | undefined {
    return this.#handlers[type];
  }

  /** Adds middleware that messages of this channel pass after the server's and the application's. */
  use(middleware: Middleware<B['message'], B['context']>): this {
    this.claim();
    this.middleware.use(middleware);
    return this;
  }

  /** Sends a message to every subscriber, in the server's name. */
  publish(payload: unknown, options?: B['publishOptions']): B['published'] {
    return this.#owner.outlet.publish(this, payload, options);
  }

  /** Somebody asked for this very channel: it stays until it is removed. */
  claim(options?: ChannelOptions): void {
    if (this.#removed) throw this.#gone();
    if (options !== undefined) this.#settings = channelSettings(options, this.#settings);
    this.#explicit = true;
  }

  /** Something was published here. */
  touch(): void {
    this.#touched = true;
  }

  /** Was something published since this was last asked? Says which idle channels to give up first. */
  takeTouched(): boolean {
    const touched = this.#touched;
    this.#touched = false;
    return touched;
  }

  /** Called by the table of channels alone. */
  markRemoved(): void {
    this.#removed = true;
  }

  #gone(): IPCError {
    return ipcError('USAGE_CLOSED', `channel ${this.channelId} of ${this.appId} was removed; create it again`, {
      details: { appId: this.appId, channelId: this.channelId },
    });
  }
}

const MESSAGE_TYPES: readonly MessageType[] = Object.values(MessageType);

function checkType(type: MessageType): void {
  if (!MESSAGE_TYPES.includes(type)) throw invalidOption('type', type, `one of ${MESSAGE_TYPES.join(', ')}`);
}
