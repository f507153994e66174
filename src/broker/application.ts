// An application: a world of channels of its own, and the connections in it. The face that users hold is
// above, what the layer above the broker calls is below; every operation returns what follows from it.

import { type IPCError, ipcError } from '../base/errors.ts';
import { stringOption } from '../base/options.ts';
import type { ApplicationSettings } from './application-options.ts';
import { checkApplicationId, checkChannelName, checkPattern, isPattern } from '../protocol/names.ts';
import {
  Channel,
  type ChannelOwner,
  type Outlet,
  type RemovedChannel,
  type Subscribed,
  type Unsubscribed,
} from './channel.ts';
import type { ChannelNumbers } from './channel-numbers.ts';
import { type ChannelOptions, channelSettings } from './channel-options.ts';
import { ChannelTable } from './channel-table.ts';
import { type Middleware, MiddlewareStack } from './middleware.ts';
import { type Member, Presence, type PresenceEvent } from './presence.ts';
import { RetainedValues, type SharedRoom } from './retained.ts';
import { Subscriptions } from './subscriptions.ts';
import type { BrokerTypes, Will } from './types.ts';

export interface ApplicationInit<B extends BrokerTypes> {
  readonly appId: string;
  readonly name: string | undefined;
  readonly createdAt: number;
  readonly settings: ApplicationSettings;
  readonly numbers: ChannelNumbers;
  readonly retainedRoom: SharedRoom;
  readonly middleware: MiddlewareStack<B['message'], B['context']>;
  readonly outlet: Outlet<B>;
}

/** What one channel shows in `listChannels`. */
export interface ChannelSummary {
  /** Direct subscriptions. */
  readonly subscribers: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** What follows when a connection goes. */
export interface Departure<B extends BrokerTypes> {
  readonly presence: readonly PresenceEvent<B['connection']>[];
  /** To be published now; `undefined` where there is none or the connection said goodbye. */
  readonly will: Will<B['publication']> | undefined;
  /** Subscriptions that ended with it. */
  readonly subscribers: readonly B['subscriber'][];
  /** Requests that it had taken as a worker and not answered: `REMOTE_LOST` for their callers. */
  readonly unanswered: readonly B['request'][];
}

/**
 * A world of channels of its own.
 *
 * @example
 * ```ts
 * const shop = server.createApplication('shop', 'The shop');
 * shop.use((message, context) => context.identity !== undefined);
 * shop.createChannel('orders').setHandler('request', (message) => message.payload);
 * ```
 */
export class Application<B extends BrokerTypes> {
  /** The name that clients join by. */
  readonly appId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** What its messages pass; `use` adds to it. */
  readonly middleware: MiddlewareStack<B['message'], B['context']>;
  /** Its options, with every default in place. */
  readonly settings: ApplicationSettings;
  /** Who is here, and in which channels. */
  readonly presence = new Presence<B['connection'], Will<B['publication']>>();
  /** The last values that its channels keep. */
  readonly retained: RetainedValues<Channel<B>, B['publication']>;

  readonly #channels: ChannelTable<B>;
  readonly #subscriptions = new Subscriptions<B['subscriber']>();
  readonly #serving = new Map<B['connection'], Set<Channel<B>>>();
  readonly #numbers: ChannelNumbers;
  readonly #owner: ChannelOwner<B>;
  #name: string;
  #lastActivity: number;
  #explicit = false;
  #removed = false;

  constructor(init: ApplicationInit<B>) {
    checkApplicationId(init.appId);
    this.appId = init.appId;
    this.#name = stringOption('name', init.name, init.appId);
    this.createdAt = init.createdAt;
    this.#lastActivity = init.createdAt;
    this.settings = init.settings;
    this.middleware = new MiddlewareStack(init.middleware);
    this.retained = new RetainedValues(init.settings.retainedBytesMax, init.retainedRoom);
    this.#numbers = init.numbers;
    this.#owner = {
      outlet: init.outlet,
      subscribeTo: (channelId, subscriber, now) => this.#subscribeDirect(channelId, subscriber, now),
      unsubscribe: (subscriber, now) => this.unsubscribe(subscriber, now),
    };
    this.#channels = new ChannelTable<B>({
      appId: init.appId,
      channelsMax: init.settings.channelsMax,
      idleChannelsMax: init.settings.idleChannelsMax,
      create: (channelId, now) => this.#newChannel(channelId, now),
      pinned: (channel) => this.retained.has(channel),
      dispose: (channel) => {
        this.retained.delete(channel);
        this.#subscriptions.forget(channel.channelId);
        this.#numbers.release(channel.number);
      },
    });
  }

  /** Given up because nobody wanted it; its id may belong to a newer application. */
  get removed(): boolean {
    return this.#removed;
  }

  get name(): string {
    return this.#name;
  }

  /** When a client last did something here: milliseconds since the epoch. */
  get lastActivity(): number {
    return this.#lastActivity;
  }

  /**
   * Makes the channel, or gives the one that is there; options that are given are set on either. It stays
   * until it is removed. Raises `USAGE_INVALID_NAME`, `USAGE_INVALID_OPTION`, `LIMIT_CHANNELS`.
   */
  createChannel(channelId: string, options?: ChannelOptions): Channel<B> {
    this.#checkLiving();
    checkChannelName(channelId);
    if (options !== undefined) channelSettings(options);
    const channel = this.#channels.get(channelId) ?? this.#channels.add(channelId, this.#owner.outlet.now());
    channel.claim(options);
    return channel;
  }

  /** The channel, where it exists: nothing is made. */
  getChannel(channelId: string): Channel<B> | undefined {
    return this.#channels.get(channelId);
  }

  /** Every channel by name. */
  listChannels(): Record<string, ChannelSummary> {
    // fromEntries defines properties, so a channel called `__proto__` is a channel like any other.
    return Object.fromEntries(
      this.#channels
        .all()
        .map((channel) => [channel.channelId, { subscribers: channel.subscriberCount, createdAt: channel.createdAt }]),
    );
  }

  /** Ends its subscriptions and what its workers had taken; `false` where there is no such channel. */
  removeChannel(channelId: string): boolean {
    const channel = this.#channels.get(channelId);
    if (channel === undefined) return false;
    this.#owner.outlet.channelRemoved(this.#remove(channel, this.#owner.outlet.now()));
    return true;
  }

  /** Notes that something was done here just now. */
  updateActivity(now: number = this.#owner.outlet.now()): void {
    this.#lastActivity = now;
  }

  /** Adds middleware that messages of this application pass after the server's and before the channel's. */
  use(middleware: Middleware<B['message'], B['context']>): this {
    this.middleware.use(middleware);
    return this;
  }

  /** How many connections are here. */
  get connectionCount(): number {
    return this.presence.size;
  }

  /** How many channels there are. */
  get channelCount(): number {
    return this.#channels.size;
  }

  /** How many subscriptions there are, to channels and patterns. */
  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Would anybody miss the application? */
  get wanted(): boolean {
    if (this.#explicit || this.connectionCount > 0 || this.middleware.size > 0 || this.retained.size > 0) return true;
    if (this.#subscriptions.size > 0) return true;
    return this.#channels.all().some((channel) => channel.wanted);
  }

  /** Somebody asked for this very application: it stays. A name that is given replaces the old one. */
  claim(name?: string): void {
    this.#name = stringOption('name', name, this.#name);
    this.#explicit = true;
  }

  /** The channel, made now where the options allow: `REMOTE_NO_CHANNEL`, `USAGE_INVALID_NAME`, `LIMIT_CHANNELS`. */
  channelFor(channelId: string, now: number): Channel<B> {
    const known = this.#channels.get(channelId);
    if (known !== undefined) return known;
    this.#checkLiving();
    checkChannelName(channelId);
    if (!this.settings.autoCreateChannels) throw this.#noChannel(channelId);
    const channel = this.#channels.add(channelId, now);
    this.#channels.noteIdle(channel);
    return channel;
  }

  /**
   * Subscribes to a channel, or to every channel that a pattern matches. Raises `USAGE_INVALID_NAME`,
   * `REMOTE_NO_CHANNEL`, `LIMIT_CHANNELS`, `LIMIT_SUBSCRIPTIONS`.
   */
  subscribe(filter: string, subscriber: B['subscriber'], now: number): Subscribed<B> {
    if (!isPattern(filter)) return this.#subscribeDirect(filter, subscriber, now);
    checkPattern(filter);
    this.#checkRoom(subscriber);
    const added = this.#subscriptions.add(subscriber, { filter, pattern: true });
    const retained = added ? this.retained.matching(filter) : [];
    return { added, channel: undefined, retained, presence: undefined };
  }

  /** Ends this one subscription, and no other. */
  unsubscribe(subscriber: B['subscriber'], now: number): Unsubscribed<B> {
    const place = this.#subscriptions.remove(subscriber);
    if (place === undefined) return { removed: false, presence: undefined };
    if (place.pattern) return { removed: true, presence: undefined };
    this.#noteIdle(place.filter);
    return { removed: true, presence: this.presence.exit(subscriber.connection, place.filter, now) };
  }

  /** A connection comes in; `undefined` where it is in already. */
  join(
    connection: B['connection'],
    who: Omit<Member, 'joinedAt'>,
    now: number,
  ): PresenceEvent<B['connection']> | undefined {
    this.#checkLiving();
    this.#lastActivity = now;
    return this.presence.join(connection, who, now);
  }

  /** A connection goes, with all that it held. `goodbye`: it said so itself, so its last will is void. */
  leave(connection: B['connection'], goodbye: boolean, now: number): Departure<B> {
    this.#lastActivity = now;
    const ended = this.#subscriptions.removeAllOf(connection);
    const unanswered: B['request'][] = [];
    for (const channel of this.#serving.get(connection) ?? []) {
      unanswered.push(...(channel.workers.remove(connection) ?? []));
      this.#channels.noteIdle(channel);
    }
    this.#serving.delete(connection);
    const { events, will } = this.presence.leave(connection, goodbye, now);
    for (const { place } of ended) if (!place.pattern) this.#noteIdle(place.filter);
    return { presence: events, will, subscribers: ended.map(({ subscriber }) => subscriber), unanswered };
  }

  /**
   * From now on the connection takes requests of the channel, `maxInFlight` at a time. Serving again only
   * sets that bound anew. Raises what `subscribe` raises.
   */
  serve(channelId: string, connection: B['connection'], maxInFlight: number, now: number): Channel<B> {
    const served = this.#serving.get(connection) ?? new Set();
    const known = this.#channels.get(channelId);
    if (known === undefined || !served.has(known)) this.#checkCount(connection);
    const channel = this.channelFor(channelId, now);
    channel.workers.add(connection, maxInFlight);
    this.#serving.set(connection, served.add(channel));
    return channel;
  }

  /**
   * The connection takes no more requests of the channel. Gives what it has not answered, to be failed with
   * `REMOTE_LOST` or awaited; `undefined` where it did not serve.
   */
  unserve(channelId: string, connection: B['connection']): readonly B['request'][] | undefined {
    const channel = this.#channels.get(channelId);
    const unanswered = channel?.workers.remove(connection);
    if (channel === undefined || unanswered === undefined) return undefined;
    this.#serving.get(connection)?.delete(channel);
    this.#channels.noteIdle(channel);
    return unanswered;
  }

  /** Keeps the message as the channel's last value. */
  retain(channel: Channel<B>, message: B['publication']): void {
    if (channel.removed) return;
    const evicted = this.retained.set(channel, this.#owner.outlet.keep(message));
    for (const loser of evicted) this.#channels.noteIdle(loser);
  }

  /** Gives up the channel's last value; `false` where there is none. */
  clearRetained(channelId: string): boolean {
    const channel = this.#channels.get(channelId);
    if (channel === undefined || !this.retained.delete(channel)) return false;
    this.#channels.noteIdle(channel);
    return true;
  }

  /** Gives up idle channels that nobody published to since the last sweep. Gives how many. */
  sweep(): number {
    return this.#channels.sweep();
  }

  /** Called by the table of applications alone: its channels go with it, and their numbers. */
  close(): void {
    this.#removed = true;
    for (const channel of this.#channels.all()) this.#channels.remove(channel);
  }

  #checkLiving(): void {
    if (!this.#removed) return;
    throw ipcError('USAGE_CLOSED', `application ${this.appId} was given up while nobody wanted it; create it again`, {
      details: { appId: this.appId },
    });
  }

  #newChannel(channelId: string, now: number): Channel<B> {
    return new Channel<B>({
      channelId,
      appId: this.appId,
      number: this.#numbers.take(),
      createdAt: now,
      settings: this.settings.channelDefaults,
      audience: this.#subscriptions.audience(channelId),
      middleware: this.middleware,
      owner: this.#owner,
    });
  }

  #subscribeDirect(channelId: string, subscriber: B['subscriber'], now: number): Subscribed<B> {
    this.#checkRoom(subscriber);
    const channel = this.channelFor(channelId, now);
    const added = this.#subscriptions.add(subscriber, { filter: channelId, pattern: false });
    if (!added) return { added, channel, retained: [], presence: undefined };
    const message = this.retained.get(channel);
    const retained = message === undefined ? [] : [{ channel, message }];
    return { added, channel, retained, presence: this.presence.enter(subscriber.connection, channelId, now) };
  }

  #remove(channel: Channel<B>, now: number): RemovedChannel<B> {
    const subscribers = this.#subscriptions.forget(channel.channelId);
    const presence: PresenceEvent<B['connection']>[] = [];
    for (const { connection } of subscribers) {
      const left = this.presence.exit(connection, channel.channelId, now);
      if (left !== undefined) presence.push(left);
    }
    const unanswered = channel.workers
      .workers()
      .flatMap(({ connection }) => this.unserve(channel.channelId, connection) ?? []);
    this.#channels.remove(channel);
    return { channel, subscribers, unanswered, presence };
  }

  #noteIdle(channelId: string): void {
    const channel = this.#channels.get(channelId);
    if (channel !== undefined) this.#channels.noteIdle(channel);
  }

  #checkRoom(subscriber: B['subscriber']): void {
    if (this.#subscriptions.placeOf(subscriber) === undefined) this.#checkCount(subscriber.connection);
  }

  #checkCount(connection: B['connection']): void {
    const { subscriptionsMax } = this.settings;
    const held = this.#subscriptions.countOf(connection) + (this.#serving.get(connection)?.size ?? 0);
    if (held < subscriptionsMax) return;
    throw ipcError('LIMIT_SUBSCRIPTIONS', `the connection holds ${subscriptionsMax} subscriptions already`, {
      details: { appId: this.appId, subscriptionsMax },
    });
  }

  #noChannel(channelId: string): IPCError {
    return ipcError('REMOTE_NO_CHANNEL', `application ${this.appId} has no channel ${channelId}`, {
      details: { appId: this.appId, channelId },
    });
  }
}
