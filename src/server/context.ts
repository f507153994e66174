// What every part of the server needs and none of them owns: settings, time, ids, counters, and the table
// of applications. It knows nobody who uses it.

import { Applications } from '../broker/applications.ts';
import type { Outlet } from '../broker/channel.ts';
import type { PayloadCodec } from '../protocol/payload.ts';
import type { ServerBroker, ServerConnection } from './model.ts';
import type { ServerSettings } from './options.ts';
import { ServerStats } from './stats.ts';

/** What the context asks of the server around it. */
export interface Surroundings {
  /** Milliseconds, monotonic. */
  clock(): number;
  /** Deadlines were added: the timer that expires them must run. */
  keepTime(): void;
  /** Something went wrong that no caller can be told of. */
  report(error: Error, peer: ServerConnection | undefined): void;
}

export class Context {
  readonly settings: ServerSettings;
  readonly stats = new ServerStats();
  readonly applications: Applications<ServerBroker>;
  readonly #surroundings: Surroundings;
  #epochOffsetMs = 0;
  #messageNumber = 0;

  constructor(settings: ServerSettings, surroundings: Surroundings, outlet: Omit<Outlet<ServerBroker>, 'now'>) {
    this.settings = settings;
    this.#surroundings = surroundings;
    this.setClock();
    this.applications = new Applications<ServerBroker>(
      { ...outlet, now: () => this.now() },
      {
        applicationsMax: settings.applicationsMax,
        autoCreate: settings.autoCreate,
        application: { ...settings.application, subscriptionsMax: settings.limits.subscriptionsMax },
      },
    );
  }

  /** Milliseconds, monotonic. */
  clock(): number {
    return this.#surroundings.clock();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.toEpoch(this.clock());
  }

  /** A moment of the monotonic clock as milliseconds since the epoch. */
  toEpoch(moment: number): number {
    return Math.round(moment + this.#epochOffsetMs);
  }

  toClock(epochMs: number): number {
    return epochMs - this.#epochOffsetMs;
  }

  /** To be called every now and then: the system's clock may be set anew while the monotonic one goes on. */
  setClock(): void {
    this.#epochOffsetMs = Date.now() - this.clock();
  }

  /** How objects travel where it is not JSON. */
  get codec(): PayloadCodec | undefined {
    return this.settings.codec;
  }

  keepTime(): void {
    this.#surroundings.keepTime();
  }

  report(error: Error, peer: ServerConnection | undefined): void {
    this.stats.errors += 1;
    this.#surroundings.report(error, peer);
  }

  /** An id for a message that never had one: unique for this run of the server. */
  messageId(): string {
    this.#messageNumber += 1;
    return `${this.settings.serverId}-${this.#messageNumber}`;
  }
}
