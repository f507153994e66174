// A broker with nothing around it: connections are objects with a name, time stands still until a test
// moves it, and what the layer above would be told is written down.

import type { Application } from '../../src/broker/application.ts';
import { Applications, type ApplicationsOptions } from '../../src/broker/applications.ts';
import type { Outlet, RemovedChannel } from '../../src/broker/channel.ts';
import type { BrokerTypes } from '../../src/broker/types.ts';

export interface TestConnection {
  readonly id: string;
}

export interface TestSubscriber {
  readonly connection: TestConnection;
  readonly id: string;
}

export interface TestTypes extends BrokerTypes {
  readonly connection: TestConnection;
  readonly subscriber: TestSubscriber;
  readonly message: string;
  readonly publication: string;
  readonly context: { readonly identity?: string };
  readonly request: { readonly id: number };
  readonly publishOptions: { readonly loud?: boolean } | undefined;
  readonly published: number;
}

export class TestOutlet implements Outlet<TestTypes> {
  time = 1000;
  readonly published: [channelId: string, payload: unknown, options: unknown][] = [];
  readonly removed: RemovedChannel<TestTypes>[] = [];

  now(): number {
    return this.time;
  }

  /** A message costs its length. */
  keep(message: string): { message: string; bytes: number } {
    return { message, bytes: message.length };
  }

  publish(channel: { readonly channelId: string }, payload: unknown, options: unknown): number {
    return this.published.push([channel.channelId, payload, options]);
  }

  channelRemoved(removed: RemovedChannel<TestTypes>): void {
    this.removed.push(removed);
  }
}

export function testBroker(options: ApplicationsOptions = {}): {
  outlet: TestOutlet;
  applications: Applications<TestTypes>;
  application: Application<TestTypes>;
} {
  const outlet = new TestOutlet();
  const applications = new Applications<TestTypes>(outlet, options);
  return { outlet, applications, application: applications.createApplication('shop') };
}

export function connection(id: string): TestConnection {
  return { id };
}

export function subscriber(of: TestConnection, id = 'only'): TestSubscriber {
  return { connection: of, id };
}

/** Joins under its own id. */
export function joined(application: Application<TestTypes>, id: string, now = 1000): TestConnection {
  const made = connection(id);
  application.join(made, { connectionId: id, name: undefined, identity: undefined }, now);
  return made;
}
