// What clients ask for meets the broker here, whatever protocol they speak. Publishes and requests have
// files of their own; here subscriptions come and go, and connections with all that they hold.

import { IPCError, ipcError, toError } from '../base/errors.ts';
import type { Subscribed } from '../broker/channel.ts';
import type { PresenceEvent } from '../broker/presence.ts';
import type { Will } from '../broker/types.ts';
import { checkChannelName } from '../protocol/names.ts';
import { encodePayload } from '../protocol/payload.ts';
import type { SubscribeFields, WillFields } from './control-fields.ts';
import { Context, type Surroundings } from './context.ts';
import { ServerMessage } from './message.ts';
import type { Peer, ServerApplication, ServerBroker, ServerConnection, Subscriber } from './model.ts';
import type { ServerSettings } from './options.ts';
import { announcePresence } from './presence-channel.ts';
import type { Publication } from './publication.ts';
import { Publishing } from './publishing.ts';
import { Requests } from './requests.ts';
import { observe } from './screening.ts';
import type { SubscriberSettings } from './subscriber.ts';

/** What the hub asks of the server around it. */
export interface HubOutside extends Surroundings {
  /** A peer is gone, and its wire with it. */
  gone(peer: Peer, error: IPCError): void;
}

export class Hub {
  readonly context: Context;
  readonly publishing: Publishing;
  readonly requests: Requests;
  readonly #outside: HubOutside;

  constructor(settings: ServerSettings, outside: HubOutside) {
    this.#outside = outside;
    this.context = new Context(settings, outside, {
      keep: (publication) => {
        publication.detach();
        return { message: publication, bytes: publication.bytes };
      },
      publish: (channel, payload, publishOptions) => this.publishing.ofServer(channel, payload, publishOptions),
      channelRemoved: (removed) => {
        const error = ipcError('REMOTE_NO_CHANNEL', `the channel '${removed.channel.channelId}' was removed`);
        for (const subscriber of removed.subscribers) {
          this.#ended(subscriber);
          subscriber.tellEnded(error);
        }
        for (const call of removed.unanswered) call.lost();
        this.#announce(removed.presence);
      },
    });
    this.publishing = new Publishing(this.context);
    this.requests = new Requests(this.context);
  }

  /** Throws `LIMIT_RATE` when the client sends more than it may. */
  checkRate(peer: Peer, messages: number, now: number): void {
    if (this.context.settings.messagesPerSecondMax > 0)
      peer.rate.spend(messages, now, this.context.settings.messagesPerSecondMax);
  }

  subscriberSettings(
    peer: Peer,
    fields: Pick<SubscribeFields, 'pattern' | 'policy' | 'outboxBytesMax'>,
  ): SubscriberSettings {
    const settings = peer.application.getChannel(fields.pattern)?.settings ?? peer.application.settings.channelDefaults;
    const asked = fields.outboxBytesMax ?? settings.outboxBytesMax;
    return {
      policy: fields.policy ?? settings.policy,
      outboxBytesMax: Math.min(asked, this.context.settings.outboxBytesMax),
    };
  }

  /** `acknowledge` runs between the beginning of the subscription and its first delivery. */
  subscribe(peer: Peer, subscriber: Subscriber, retained: boolean, acknowledge: () => void): void {
    const subscribed: Subscribed<ServerBroker> = peer.application.subscribe(
      subscriber.filter,
      subscriber,
      this.context.now(),
    );
    peer.addSubscriber(subscriber);
    acknowledge();
    if (retained) for (const { message } of subscribed.retained) subscriber.offer(message.asRetained());
    if (subscribed.presence !== undefined) this.#announce([subscribed.presence]);
    this.#notice(peer, 'subscribe', subscriber.filter);
  }

  unsubscribe(peer: Peer, subscriber: Subscriber): void {
    const { removed, presence } = peer.application.unsubscribe(subscriber, this.context.now());
    this.#ended(subscriber);
    if (presence !== undefined) this.#announce([presence]);
    if (removed) this.#notice(peer, 'unsubscribe', subscriber.filter);
  }

  serve(peer: Peer, channelId: string, maxInFlight: number): void {
    peer.application.serve(channelId, peer, maxInFlight, this.context.now());
  }

  /** What the worker has taken it may still answer: the calls stay in its table. */
  unserve(peer: Peer, channelId: string): void {
    peer.application.unserve(channelId, peer);
  }

  /** False when the connection is gone or going. */
  notify(peer: ServerConnection, channelId: string, payload: unknown): boolean {
    try {
      peer.notify(channelId, payload);
      return true;
    } catch (thrown) {
      if (thrown instanceof IPCError && thrown.code === 'USAGE_CLOSED') return false;
      throw thrown;
    }
  }

  /** Tells all connections of the application. What is wrong with the notification itself is thrown before anybody was told. */
  broadcast(application: ServerApplication, channelId: string, payload: unknown): number {
    checkChannelName(channelId);
    encodePayload(payload, this.context.settings.codec);
    let told = 0;
    for (const peer of application.presence.connections()) {
      try {
        if (this.notify(peer, channelId, payload)) told += 1;
      } catch (thrown) {
        this.#untold(peer, toError(thrown));
      }
    }
    return told;
  }

  joined(peer: Peer, will: WillFields | undefined): void {
    const { id, name, identity, application } = peer;
    const event = application.join(peer, { connectionId: id, name, identity }, this.context.now());
    if (will !== undefined) this.#keepWill(peer, will);
    if (event !== undefined) this.#announce([event]);
  }

  /** The peer leaves, with everything it held; its wire may take longer. */
  left(peer: Peer, goodbye: boolean): void {
    const { application } = peer;
    const { presence, will, subscribers, unanswered } = application.leave(peer, goodbye, this.context.now());
    for (const subscriber of subscribers) this.#ended(subscriber);
    for (const call of unanswered) call.lost();
    this.#announce(presence);
    if (will !== undefined) this.#sayWill(peer, will);
  }

  /** Its wire has gone as well. */
  gone(peer: Peer, error: IPCError): void {
    this.#outside.gone(peer, error);
  }

  channelNumber(application: ServerApplication, channelId: string): number {
    return application.channelFor(channelId, this.context.now()).number;
  }

  #keepWill(peer: Peer, will: WillFields): void {
    const channel = this.publishing.channelToPublish(peer.application, will.channel);
    const message = this.publishing.publication(channel, will.content, will.payload);
    peer.application.presence.setWill(peer, { channelId: will.channel, message });
  }

  #untold(peer: ServerConnection, error: Error): void {
    if (error instanceof IPCError && error.code === 'LIMIT_OUTBOX') this.context.stats.slowConsumers += 1;
    else this.context.report(error, peer);
  }

  /** Its channel may have been given up as idle since, and its number with it. */
  #sayWill(peer: Peer, { channelId, message }: Will<Publication>): void {
    try {
      const channel = peer.application.channelFor(channelId, this.context.now());
      const publication = this.publishing.publication(channel, message.content, message.payload);
      this.publishing.fanOut(channel, publication, channel.settings.retain);
    } catch (thrown) {
      this.context.report(toError(thrown), peer);
    }
  }

  #ended(subscriber: Subscriber): void {
    subscriber.end();
    subscriber.connection.removeSubscriber(subscriber);
  }

  #announce(events: readonly PresenceEvent<ServerConnection>[]): void {
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
    const now = this.context.now();
    const id = this.context.messageId();
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
      (fault) => this.context.report(fault, peer),
    );
  }
}
