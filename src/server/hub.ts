// What clients ask for meets the broker here, whatever protocol they speak. Publishes and requests have
// files of their own; here subscriptions come and go, and connections with all that they hold.

import type { IPCError } from '../base/errors.ts';
import { Applications } from '../broker/applications.ts';
import type { Outlet, Subscribed } from '../broker/channel.ts';
import type { PresenceEvent } from '../broker/presence.ts';
import { encodePayload } from '../protocol/payload.ts';
import type { SubscribeFields, WillFields } from './control-fields.ts';
import { ServerMessage } from './message.ts';
import type { NativePeer } from './native-peer.ts';
import type { ServerSettings } from './options.ts';
import type { Peer } from './peer.ts';
import { announcePresence } from './presence-channel.ts';
import { Publishing } from './publishing.ts';
import { Requests } from './requests.ts';
import { observe } from './screening.ts';
import { ServerStats } from './stats.ts';
import type { Subscriber, SubscriberSettings } from './subscriber.ts';
import type { ServerApplication, ServerBroker } from './types.ts';

/** What the hub asks of the server around it. */
export interface HubOutside {
  /** Milliseconds, monotonic. */
  clock(): number;
  /** Deadlines were added: the timer that expires them must run. */
  keepTime(): void;
  /** A peer is gone, and everything it held. */
  left(peer: Peer, error: IPCError): void;
  /** Something went wrong that no caller can be told of. */
  report(error: Error, peer: Peer | undefined): void;
}

export class Hub {
  readonly options: ServerSettings;
  readonly stats = new ServerStats();
  readonly applications: Applications<ServerBroker>;
  readonly publishing = new Publishing(this);
  readonly requests = new Requests(this);
  readonly #outside: HubOutside;
  #epochOffsetMs = 0;
  #messageNumber = 0;

  constructor(options: ServerSettings, outside: HubOutside) {
    this.options = options;
    this.#outside = outside;
    this.setClock();
    const outlet: Outlet<ServerBroker> = {
      now: () => this.now(),
      keep: (publication) => {
        publication.detach();
        return { message: publication, bytes: publication.bytes };
      },
      publish: (channel, payload, publishOptions) => this.publishing.ofServer(channel, payload, publishOptions),
      channelRemoved: (removed) => {
        for (const subscriber of removed.subscribers) this.#ended(subscriber);
        for (const call of removed.unanswered) call.lost();
        this.#announce(removed.presence);
      },
    };
    this.applications = new Applications(outlet, {
      applicationsMax: options.applicationsMax,
      autoCreate: options.autoCreate,
      application: { ...options.application, subscriptionsMax: options.limits.subscriptionsMax },
    });
  }

  /** Milliseconds, monotonic. */
  clock(): number {
    return this.#outside.clock();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.toEpoch(this.clock());
  }

  /** A moment of the monotonic clock as milliseconds since the epoch. */
  toEpoch(moment: number): number {
    return Math.round(moment + this.#epochOffsetMs);
  }

  /** To be called every now and then: the system's clock may be set anew while the monotonic one goes on. */
  setClock(): void {
    this.#epochOffsetMs = Date.now() - this.clock();
  }

  toClock(epochMs: number): number {
    return epochMs - this.#epochOffsetMs;
  }

  keepTime(): void {
    this.#outside.keepTime();
  }

  report(error: Error, peer: Peer | undefined): void {
    this.stats.errors += 1;
    this.#outside.report(error, peer);
  }

  /** An id for a message that never had one: unique for this run of the server. */
  messageId(): string {
    this.#messageNumber += 1;
    return `${this.options.serverId}-${this.#messageNumber}`;
  }

  /** Throws `LIMIT_RATE` when the client sends more than it may. */
  checkRate(peer: Peer, messages: number, now: number): void {
    if (this.options.messagesPerSecondMax > 0) peer.rate.spend(messages, now, this.options.messagesPerSecondMax);
  }

  subscriberSettings(
    peer: Peer,
    fields: Pick<SubscribeFields, 'pattern' | 'policy' | 'outboxBytesMax'>,
  ): SubscriberSettings {
    const settings = peer.application.getChannel(fields.pattern)?.settings ?? peer.application.settings.channelDefaults;
    const asked = fields.outboxBytesMax ?? settings.outboxBytesMax;
    return { policy: fields.policy ?? settings.policy, outboxBytesMax: Math.min(asked, this.options.outboxBytesMax) };
  }

  /** `acknowledge` runs between the beginning of the subscription and its first delivery. */
  subscribe(peer: Peer, subscriber: Subscriber, retained: boolean, acknowledge: () => void): void {
    const subscribed: Subscribed<ServerBroker> = peer.application.subscribe(subscriber.filter, subscriber, this.now());
    peer.addSubscriber(subscriber);
    acknowledge();
    if (retained) for (const { message } of subscribed.retained) subscriber.offerRetained(message);
    if (subscribed.presence !== undefined) this.#announce([subscribed.presence]);
    this.#notice(peer, 'subscribe', subscriber.filter);
  }

  unsubscribe(peer: Peer, subscriber: Subscriber): void {
    const { removed, presence } = peer.application.unsubscribe(subscriber, this.now());
    this.#ended(subscriber);
    if (presence !== undefined) this.#announce([presence]);
    if (removed) this.#notice(peer, 'unsubscribe', subscriber.filter);
  }

  serve(peer: NativePeer, channelId: string, maxInFlight: number): void {
    peer.application.serve(channelId, peer, maxInFlight, this.now());
  }

  /** What the worker has taken it may still answer: the calls stay in its table. */
  unserve(peer: NativePeer, channelId: string): void {
    peer.application.unserve(channelId, peer);
  }

  joined(peer: Peer, will: WillFields | undefined): void {
    const { id, name, identity, application } = peer;
    const event = application.join(peer, { connectionId: id, name, identity }, this.now());
    if (will !== undefined) this.#keepWill(peer, will);
    if (event !== undefined) this.#announce([event]);
  }

  left(peer: Peer, goodbye: boolean, error: IPCError): void {
    const { application } = peer;
    const { presence, will, subscribers, unanswered } = application.leave(peer, goodbye, this.now());
    for (const subscriber of subscribers) this.#ended(subscriber);
    for (const call of unanswered) call.lost();
    this.#announce(presence);
    if (will !== undefined) {
      const channel = application.getChannel(will.channelId);
      if (channel !== undefined) this.publishing.fanOut(channel, will.message, channel.settings.retain);
    }
    this.#outside.left(peer, error);
  }

  channelNumber(application: ServerApplication, channelId: string): number {
    return application.channelFor(channelId, this.now()).number;
  }

  #keepWill(peer: Peer, will: WillFields): void {
    const channel = this.publishing.channelToPublish(peer.application, will.channel);
    const message = this.publishing.publication(channel, will.content, will.payload);
    peer.application.presence.setWill(peer, { channelId: will.channel, message });
  }

  #ended(subscriber: Subscriber): void {
    subscriber.end();
    subscriber.connection.removeSubscriber(subscriber);
  }

  #announce(events: readonly PresenceEvent<Peer>[]): void {
    for (const event of events) {
      announcePresence(event, (channel, payload) => {
        const { content, bytes } = encodePayload(payload);
        this.publishing.fanOut(channel, this.publishing.publication(channel, content, bytes), false);
      });
    }
  }

  /** Tells the channel's own handler that somebody came or went. */
  #notice(peer: Peer, type: 'subscribe' | 'unsubscribe', channelId: string): void {
    const handler = peer.application.getChannel(channelId)?.getHandler(type);
    if (handler === undefined) return;
    const now = this.now();
    const id = this.messageId();
    const message = new ServerMessage(
      peer,
      type,
      channelId,
      undefined,
      undefined,
      id,
      now,
      undefined,
      false,
      undefined,
    );
    observe(
      () => handler(message, peer),
      (fault) => this.report(fault, peer),
    );
  }
}
