// All applications of one server, bounded in number, and what they share: the numbers of channels and the
// outermost middleware.

import { ipcError } from '../base/errors.ts';
import { booleanOption, integerOption } from '../base/options.ts';
import { checkApplicationId } from '../protocol/names.ts';
import { Application } from './application.ts';
import { type ApplicationOptions, type ApplicationSettings, applicationSettings } from './application-options.ts';
import type { Outlet } from './channel.ts';
import { ChannelNumbers } from './channel-numbers.ts';
import { MiddlewareStack } from './middleware.ts';
import type { SharedRoom } from './retained.ts';
import type { BrokerTypes } from './types.ts';

export interface ApplicationsOptions {
  /** How many applications may exist, 1 to 1,000,000. Default 1000. Beyond it, `LIMIT_APPLICATIONS`. */
  readonly applicationsMax?: number | undefined;
  /** Make an application when a client first names it. Default `true`; otherwise `REMOTE_NO_APPLICATION`. */
  readonly autoCreate?: boolean | undefined;
  /** Room for the retained values of all applications together, in bytes, 0 to 2^40. Default 256 MiB. */
  readonly retainedBytesTotalMax?: number | undefined;
  /** What holds for each application. */
  readonly application?: ApplicationOptions | undefined;
}

/** What one application shows in `listApplications`; times are milliseconds since the epoch. */
export interface ApplicationSummary {
  readonly name: string;
  readonly channels: number;
  readonly connections: number;
  readonly createdAt: number;
  readonly lastActivity: number;
}

export class Applications<B extends BrokerTypes> {
  /** What every message of this server passes first. */
  readonly middleware = new MiddlewareStack<B['message'], B['context']>();

  readonly #outlet: Outlet<B>;
  readonly #byId = new Map<string, Application<B>>();
  readonly #numbers = new ChannelNumbers();
  readonly #retainedRoom: SharedRoom;
  readonly #applicationsMax: number;
  readonly #autoCreate: boolean;
  readonly #settings: ApplicationSettings;

  constructor(outlet: Outlet<B>, options: ApplicationsOptions = {}) {
    this.#outlet = outlet;
    this.#applicationsMax = integerOption('applicationsMax', options.applicationsMax, {
      default: 1000,
      min: 1,
      max: 1_000_000,
    });
    this.#autoCreate = booleanOption('autoCreate', options.autoCreate, true);
    const bytesMax = integerOption('retainedBytesTotalMax', options.retainedBytesTotalMax, {
      default: 256 * 1024 * 1024,
      min: 0,
      max: 2 ** 40,
    });
    this.#retainedRoom = { bytesMax, bytes: 0 };
    this.#settings = applicationSettings(options.application);
  }

  get size(): number {
    return this.#byId.size;
  }

  /**
   * Makes the application, or gives the one that is there; a name that is given is set on either, without
   * one the id is the name. Raises `USAGE_INVALID_NAME`, `USAGE_INVALID_OPTION`, `LIMIT_APPLICATIONS`.
   */
  createApplication(appId: string, name?: string): Application<B> {
    const application = this.#byId.get(appId) ?? this.#add(appId, name, this.#outlet.now());
    application.claim(name);
    return application;
  }

  getApplication(appId: string): Application<B> | undefined {
    return this.#byId.get(appId);
  }

  /**
   * The application that a client named, made where the options allow: `REMOTE_NO_APPLICATION`,
   * `USAGE_INVALID_NAME`, `LIMIT_APPLICATIONS`. To be joined in the same turn: an empty one may be given up.
   */
  applicationFor(appId: string, now: number): Application<B> {
    const known = this.#byId.get(appId);
    if (known !== undefined) return known;
    checkApplicationId(appId);
    if (!this.#autoCreate) {
      throw ipcError('REMOTE_NO_APPLICATION', `there is no application ${appId}`, { details: { appId } });
    }
    return this.#add(appId, undefined, now);
  }

  /** Every application by id. */
  listApplications(): Record<string, ApplicationSummary> {
    return Object.fromEntries(this.all().map((application) => [application.appId, summary(application)]));
  }

  all(): readonly Application<B>[] {
    return [...this.#byId.values()];
  }

  /** Gives up what nobody wants: idle channels not used since the last sweep, and applications left empty. */
  sweep(): void {
    for (const application of this.all()) {
      application.sweep();
      if (!application.wanted && application.channelCount === 0) this.#giveUp(application);
    }
  }

  #add(appId: string, name: string | undefined, createdAt: number): Application<B> {
    if (this.size >= this.#applicationsMax) this.#makeRoom();
    if (this.size >= this.#applicationsMax) {
      throw ipcError('LIMIT_APPLICATIONS', `there are ${this.#applicationsMax} applications already`, {
        details: { appId, applicationsMax: this.#applicationsMax },
      });
    }
    const application = new Application<B>({
      appId,
      name,
      createdAt,
      settings: this.#settings,
      numbers: this.#numbers,
      retainedRoom: this.#retainedRoom,
      middleware: this.middleware,
      outlet: this.#outlet,
    });
    this.#byId.set(appId, application);
    return application;
  }

  /** Only at the limit: the first application that nobody wants goes. */
  #makeRoom(): void {
    const unwanted = this.all().find((application) => !application.wanted);
    if (unwanted !== undefined) this.#giveUp(unwanted);
  }

  #giveUp(application: Application<B>): void {
    application.close();
    this.#byId.delete(application.appId);
  }
}

function summary<B extends BrokerTypes>(application: Application<B>): ApplicationSummary {
  return {
    name: application.name,
    channels: application.channelCount,
    connections: application.connectionCount,
    createdAt: application.createdAt,
    lastActivity: application.lastActivity,
  };
}
