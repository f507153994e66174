// The channels of one application, bounded in number. A channel that came into being by itself (somebody
// published or subscribed) is idle once nobody wants it; idle channels are kept for a while, because the
// next publish comes soon, and given up in the order of a clock with a second chance: the oldest that was
// not published to since it was last looked at.

import { ipcError } from '../base/errors.ts';
import type { Channel } from './channel.ts';
import type { BrokerTypes } from './types.ts';

export interface ChannelTableInit<B extends BrokerTypes> {
  readonly appId: string;
  readonly channelsMax: number;
  readonly idleChannelsMax: number;
  readonly create: (channelId: string, now: number) => Channel<B>;
  /** Is the channel kept for a reason that the channel itself does not know (a retained value)? */
  readonly pinned: (channel: Channel<B>) => boolean;
  /** Gives up what belongs to the channel elsewhere. */
  readonly dispose: (channel: Channel<B>) => void;
}

export class ChannelTable<B extends BrokerTypes> {
  readonly #init: ChannelTableInit<B>;
  readonly #byName = new Map<string, Channel<B>>();
  /** All idle channels, and some that are wanted again: those are taken out when they are met. */
  readonly #idle = new Set<Channel<B>>();

  constructor(init: ChannelTableInit<B>) {
    this.#init = init;
  }

  get size(): number {
    return this.#byName.size;
  }

  get(channelId: string): Channel<B> | undefined {
    return this.#byName.get(channelId);
  }

  all(): readonly Channel<B>[] {
    return [...this.#byName.values()];
  }

  /** Raises `LIMIT_CHANNELS` where there are as many as allowed and none of them is idle. */
  add(channelId: string, now: number): Channel<B> {
    const { channelsMax, appId } = this.#init;
    while (this.size >= channelsMax && this.#idle.size > 0) this.#lookAtOldest();
    if (this.size >= channelsMax) {
      throw ipcError('LIMIT_CHANNELS', `application ${appId} has ${channelsMax} channels already`, {
        details: { appId, channelId, channelsMax },
      });
    }
    const channel = this.#init.create(channelId, now);
    this.#byName.set(channelId, channel);
    return channel;
  }

  /** `false` where it is not this table's, or not any more. */
  remove(channel: Channel<B>): boolean {
    if (this.#byName.get(channel.channelId) !== channel) return false;
    this.#byName.delete(channel.channelId);
    this.#idle.delete(channel);
    channel.markRemoved();
    this.#init.dispose(channel);
    return true;
  }

  /** To be told whenever a channel may have lost the last one who wanted it. */
  noteIdle(channel: Channel<B>): void {
    if (channel.removed || !this.#isIdle(channel)) return;
    // Room first: the channel itself, perhaps just made, must not be the one to go.
    this.#idle.delete(channel);
    while (this.#idle.size >= this.#init.idleChannelsMax) this.#lookAtOldest();
    this.#idle.add(channel);
  }

  /** Gives up every idle channel that was not published to since the last sweep. Gives how many. */
  sweep(): number {
    let count = 0;
    for (const channel of this.#idle) {
      if (!this.#isIdle(channel)) this.#idle.delete(channel);
      else if (!channel.takeTouched() && this.remove(channel)) count += 1;
    }
    return count;
  }

  #isIdle(channel: Channel<B>): boolean {
    return !channel.wanted && !this.#init.pinned(channel);
  }

  /** Takes the oldest out or takes its second chance away, so that repeating this comes to an end. */
  #lookAtOldest(): void {
    for (const channel of this.#idle) {
      this.#idle.delete(channel);
      if (!this.#isIdle(channel)) return;
      if (channel.takeTouched()) this.#idle.add(channel);
      else this.remove(channel);
      return;
    }
  }
}
