// What can be set for an application, checked at the door.

import { booleanOption, integerOption, knownOptions } from '../base/options.ts';
import { type ChannelOptions, channelSettings, type ChannelSettings } from './channel-options.ts';

/** Options of an application. */
export interface ApplicationOptions {
  /** How many channels may exist, 1 to 10,000,000. Default 100,000. Beyond it, `LIMIT_CHANNELS`. */
  readonly channelsMax?: number;
  /** How many channels that nobody wants are kept for the next publish, 1 to 10,000,000. Default 1000. */
  readonly idleChannelsMax?: number;
  /** Make channels when clients first use them. Default `true`; otherwise `REMOTE_NO_CHANNEL`. */
  readonly autoCreateChannels?: boolean;
  /** How many subscriptions and served channels one connection may hold, 1 to 1,000,000. Default 1000. Beyond it, `LIMIT_SUBSCRIPTIONS`. */
  readonly subscriptionsMax?: number;
  /** Room for all retained values together, in bytes, 0 to 2^40. Default 64 MiB. The oldest go first. */
  readonly retainedBytesMax?: number;
  /** What holds for channels whose own options do not say otherwise. */
  readonly channelDefaults?: ChannelOptions;
}

export interface ApplicationSettings {
  readonly channelsMax: number;
  readonly idleChannelsMax: number;
  readonly autoCreateChannels: boolean;
  readonly subscriptionsMax: number;
  readonly retainedBytesMax: number;
  readonly channelDefaults: ChannelSettings;
}

/** Throws `USAGE_INVALID_OPTION`. */
export function applicationSettings(options: ApplicationOptions = {}): ApplicationSettings {
  const known = ['channelsMax', 'idleChannelsMax', 'autoCreateChannels', 'subscriptionsMax', 'retainedBytesMax'];
  knownOptions('application', options, [...known, 'channelDefaults']);
  const whole = (name: string, value: unknown, fallback: number, min: number, max: number): number =>
    integerOption(name, value, { default: fallback, min, max });
  return {
    channelsMax: whole('channelsMax', options.channelsMax, 100_000, 1, 10_000_000),
    idleChannelsMax: whole('idleChannelsMax', options.idleChannelsMax, 1000, 1, 10_000_000),
    autoCreateChannels: booleanOption('autoCreateChannels', options.autoCreateChannels, true),
    subscriptionsMax: whole('subscriptionsMax', options.subscriptionsMax, 1000, 1, 1_000_000),
    retainedBytesMax: whole('retainedBytesMax', options.retainedBytesMax, 64 * 1024 * 1024, 0, 2 ** 40),
    channelDefaults: channelSettings(options.channelDefaults ?? {}),
  };
}
