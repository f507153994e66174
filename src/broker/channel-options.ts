// What can be set for a channel, checked at the door.

import { booleanOption, choiceOption, integerOption, knownOptions } from '../base/options.ts';
import { OUTBOX_POLICIES, type OutboxPolicy } from '../protocol/policies.ts';

/** Options of a channel. */
export interface ChannelOptions {
  /**
   * What happens when a subscriber reads slower than the channel speaks and its outbox is full: `'block'`
   * slows the publisher, `'drop-oldest'` and `'drop-newest'` lose messages and tell the subscriber how many,
   * `'latest-only'` keeps one message of the channel, `'disconnect'` ends the connection. Default `'block'`.
   */
  readonly policy?: OutboxPolicy;
  /** How much may wait for one subscription, in bytes: 1024 to 2^31-1. Default 4 MiB. */
  readonly outboxBytesMax?: number;
  /** Keep the last value of every publish for late subscribers. Default `false`. */
  readonly retain?: boolean;
}

/** The options after the door: nothing is left open. */
export type ChannelSettings = Required<ChannelOptions>;

export const CHANNEL_DEFAULTS: ChannelSettings = { policy: 'block', outboxBytesMax: 4 * 1024 * 1024, retain: false };

const OUTBOX_BYTES = { min: 1024, max: 2 ** 31 - 1 };

/** Throws `USAGE_INVALID_OPTION`; what is not given stays as in `fallback`. */
export function channelSettings(
  options: ChannelOptions,
  fallback: ChannelSettings = CHANNEL_DEFAULTS,
): ChannelSettings {
  knownOptions('channel', options, ['policy', 'outboxBytesMax', 'retain']);
  return {
    policy: choiceOption('policy', options.policy, OUTBOX_POLICIES, fallback.policy),
    outboxBytesMax: integerOption('outboxBytesMax', options.outboxBytesMax, {
      ...OUTBOX_BYTES,
      default: fallback.outboxBytesMax,
    }),
    retain: booleanOption('retain', options.retain, fallback.retain),
  };
}
