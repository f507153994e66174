// The subscriptions of one connection by their ids, and the way of what is delivered to them: mostly many
// messages of one subscription and one channel, one behind the other.

import { ipcError } from '../base/errors.ts';
import type { FrameSource } from '../connection/connection.ts';
import { type Frame, readUint32 } from '../protocol/codec.ts';
import { HEADER_BYTES, LENGTH_BYTES } from '../protocol/frame-types.ts';
import type { Message } from '../protocol/messages.ts';
import { CREDIT_OVERHEAD_BYTES, type Session } from '../session/session.ts';
import type { Subscription } from './subscription.ts';

/** Makes the message whose payload is `[start, end)` of the frame's memory. */
type MakeMessage = (channel: string, frame: Frame, start: number, end: number) => Message<never>;

export class Deliveries {
  readonly #session: Session;
  readonly #message: MakeMessage;
  readonly #subscriptions = new Map<number, Subscription>();
  #lastSubscription: Subscription | undefined;
  /** A number that no channel has, 0 included: it is never declared. */
  #lastChannel = -1;
  #lastChannelName = '';

  constructor(session: Session, message: MakeMessage) {
    this.#session = session;
    this.#message = message;
  }

  get(id: number): Subscription | undefined {
    return this.#subscriptions.get(id);
  }

  add(id: number, subscription: Subscription): void {
    this.#subscriptions.set(id, subscription);
  }

  /** Forgets a subscription: what is still under way to it is nobody's. */
  drop(id: number): void {
    // It may have lost its number already.
    if (this.#lastSubscription === this.#subscriptions.get(id)) this.#lastSubscription = undefined;
    this.#subscriptions.get(id)?.detach();
    this.#subscriptions.delete(id);
  }

  dropAll(): void {
    for (const subscription of this.#subscriptions.values()) subscription.detach();
    this.#subscriptions.clear();
    this.#lastSubscription = undefined;
  }

  /**
   * Takes a DELIVERY, and those behind it that differ from it in their payload alone. Throws `PEER_FLOW_CONTROL`
   * for what came without credit.
   */
  take(frame: Frame, frames: FrameSource): void {
    let subscription = this.#lastSubscription;
    if (subscription === undefined || subscription.id !== frame.id) {
      subscription = this.#subscriptions.get(frame.id);
      // Unsubscribed meanwhile.
      if (subscription === undefined) return;
      this.#lastSubscription = subscription;
    }
    if (frame.channel !== this.#lastChannel) {
      this.#lastChannelName = this.#session.peerName(frame.channel);
      this.#lastChannel = frame.channel;
    }
    const channel = this.#lastChannelName;
    const more = frames.alike(Number.POSITIVE_INFINITY);
    this.#deliver(subscription, channel, frame, frame.start, frame.end);
    if (more === undefined) return;
    for (let at = frame.end; at < more.end; ) {
      // A handler has unsubscribed, or disconnected.
      if (subscription.id !== frame.id || frames.ended) return;
      const start = at + LENGTH_BYTES;
      at = start + readUint32(frame.buffer, at);
      this.#deliver(subscription, channel, frame, start + HEADER_BYTES, at);
    }
  }

  #deliver(subscription: Subscription, channel: string, frame: Frame, start: number, end: number): void {
    const message = this.#message(channel, frame, start, end);
    if (!subscription.deliver(message, end - start + CREDIT_OVERHEAD_BYTES)) {
      throw ipcError('PEER_FLOW_CONTROL', `more was delivered on '${subscription.pattern}' than the credit allowed`);
    }
  }
}
