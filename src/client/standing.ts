// What stands from connection to connection: subscriptions and offers to answer requests. Each connection
// is told of them anew, before anything else is sent on it.

import { ipcError, type IPCError } from '../base/errors.ts';
import type { Link } from './link.ts';
import type { Subscription } from './subscription.ts';

/** An offer to answer requests, through every connection. */
export interface Service {
  readonly channel: string;
  readonly fields: object;
  /** Number on the present connection; 0 while there is none. */
  id: number;
  /** Takes the handler out, and the service off the signal that ends it. */
  readonly release: () => void;
}

export class Standing {
  readonly subscriptions = new Set<Subscription>();
  readonly services = new Map<string, Service>();
  readonly #report: (error: IPCError) => void;

  /** `report` is told what was agreed to once and cannot be restored. */
  constructor(report: (error: IPCError) => void) {
    this.#report = report;
  }

  get empty(): boolean {
    return this.subscriptions.size === 0 && this.services.size === 0;
  }

  /** Resolves once the server has confirmed. */
  async subscribe(link: Link, subscription: Subscription): Promise<void> {
    if (!subscription.active) return;
    this.subscriptions.add(subscription);
    try {
      await link.subscribe(subscription);
    } catch (thrown) {
      this.subscriptions.delete(subscription);
      link.dropSubscription(subscription.id);
      throw thrown;
    }
  }

  /** Resolves once the server has agreed. */
  async serve(link: Link, service: Service): Promise<void> {
    this.services.set(service.channel, service);
    try {
      const { id, acknowledged } = link.serve(service.fields);
      service.id = id;
      await acknowledged;
    } catch (thrown) {
      if (this.services.get(service.channel) === service) this.services.delete(service.channel);
      throw thrown;
    }
  }

  async unsubscribe(link: Link | undefined, subscription: Subscription): Promise<void> {
    const { id, active } = subscription;
    if (!active) return;
    this.subscriptions.delete(subscription);
    subscription.end();
    if (link !== undefined && id !== 0) await link.unsubscribe(id).catch(ignoreLoss);
  }

  async unserve(link: Link | undefined, service: Service): Promise<void> {
    const { id, channel } = service;
    if (this.services.get(channel) !== service) return;
    this.services.delete(channel);
    service.release();
    if (link !== undefined && id !== 0) await link.unserve(id).catch(ignoreLoss);
  }

  /** The server has ended a subscription: the next connection does not bring it back. */
  ended(subscription: Subscription, error: IPCError): void {
    this.subscriptions.delete(subscription);
    subscription.end(error);
    this.#report(error);
  }

  /** A new connection. Resolves, and never rejects, once the server has answered for everything. */
  restore(link: Link): Promise<unknown> {
    const restored: Promise<void>[] = [];
    for (const subscription of this.subscriptions) restored.push(this.#resubscribe(link, subscription));
    for (const service of this.services.values()) restored.push(this.#serveAgain(link, service));
    return Promise.all(restored);
  }

  /** The connection has gone. */
  detach(): void {
    for (const service of this.services.values()) service.id = 0;
  }

  /** Nothing will come any more. */
  end(error: IPCError | undefined): void {
    const subscriptions = [...this.subscriptions];
    this.subscriptions.clear();
    for (const subscription of subscriptions) subscription.end(error);
    const services = [...this.services.values()];
    this.services.clear();
    for (const service of services) service.release();
  }

  async #resubscribe(link: Link, subscription: Subscription): Promise<void> {
    try {
      await link.subscribe(subscription);
    } catch (thrown) {
      const error = thrown as IPCError;
      if (isLoss(error)) return;
      link.dropSubscription(subscription.id);
      this.ended(subscription, error);
    }
  }

  async #serveAgain(link: Link, service: Service): Promise<void> {
    try {
      const { id, acknowledged } = link.serve(service.fields);
      service.id = id;
      await acknowledged;
    } catch (thrown) {
      const error = thrown as IPCError;
      if (isLoss(error)) return;
      if (this.services.get(service.channel) === service) this.services.delete(service.channel);
      service.release();
      this.#report(
        ipcError(error.code, `'${service.channel}' is not served any more: ${error.message}`, { cause: error }),
      );
    }
  }
}

/** The next connection brings it back; or what was to be ended has ended with the connection. */
function isLoss(error: IPCError): boolean {
  return error.code === 'NETWORK_LOST' || error.code === 'USAGE_CLOSED';
}

function ignoreLoss(error: IPCError): void {
  if (!isLoss(error)) throw error;
}
