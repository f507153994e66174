// Subscriptions on the old protocol: one on the wire for each channel, however many there are here. It
// has no credit, so a subscriber that does not keep up stops the reading of the whole connection.

import type { Message } from '../protocol/messages.ts';
import { MessageType } from '../protocol/messages.ts';
import type { Wire } from '../transports/wire.ts';
import type { Subscription, SubscriptionLink } from './subscription.ts';

export class LegacySubscriptions implements SubscriptionLink {
  readonly #wire: Wire;
  readonly #send: (type: MessageType, channel: string) => void;
  readonly #byId = new Map<number, Subscription>();
  readonly #byChannel = new Map<string, Set<Subscription>>();
  /** Those that hold more than they should. */
  readonly #behind = new Set<number>();
  #lastId = 0;

  constructor(wire: Wire, send: (type: MessageType, channel: string) => void) {
    this.#wire = wire;
    this.#send = send;
  }

  add(subscription: Subscription): void {
    this.#lastId += 1;
    subscription.attach(this, this.#lastId);
    this.#byId.set(this.#lastId, subscription);
    const others = this.#byChannel.get(subscription.pattern);
    if (others !== undefined) {
      others.add(subscription);
      return;
    }
    this.#byChannel.set(subscription.pattern, new Set([subscription]));
    this.#send(MessageType.SUBSCRIBE, subscription.pattern);
  }

  remove(id: number): void {
    const subscription = this.#byId.get(id);
    if (subscription === undefined) return;
    this.#byId.delete(id);
    subscription.detach();
    this.#caughtUp(id);
    const rest = this.#byChannel.get(subscription.pattern);
    rest?.delete(subscription);
    if (rest === undefined || rest.size > 0) return;
    this.#byChannel.delete(subscription.pattern);
    this.#send(MessageType.UNSUBSCRIBE, subscription.pattern);
  }

  deliver(message: Message<never>, bytes: number): void {
    for (const subscription of this.#byChannel.get(message.channelId) ?? []) {
      if (subscription.deliver(message, bytes) || subscription.id === 0) continue;
      this.#behind.add(subscription.id);
      this.#wire.pause();
    }
  }

  grantSubscription(id: number): void {
    this.#caughtUp(id);
  }

  /** The connection has gone. */
  end(): void {
    for (const subscription of this.#byId.values()) subscription.detach();
    this.#byId.clear();
    this.#byChannel.clear();
  }

  #caughtUp(id: number): void {
    if (this.#behind.delete(id) && this.#behind.size === 0) this.#wire.resume();
  }
}
