// The original's one handler for whatever arrives on a channel, on top of subscriptions and listeners.

import { functionOption } from '../base/options.ts';
import { checkChannelName } from '../protocol/names.ts';
import type { ClientCore } from './core.ts';
import type { Disposer } from './listeners.ts';
import type { MessageHandler, Subscription } from './subscription.ts';

export class ChannelHandlers {
  readonly #core: ClientCore;
  readonly #subscribe: (channel: string, handler: MessageHandler) => Promise<Subscription>;
  readonly #entries = new Map<string, { readonly stop: Disposer; readonly subscription: Subscription }[]>();

  constructor(core: ClientCore, subscribe: (channel: string, handler: MessageHandler) => Promise<Subscription>) {
    this.#core = core;
    this.#subscribe = subscribe;
  }

  async create(channel: string, handler: MessageHandler): Promise<void> {
    checkChannelName(channel);
    functionOption('handler', handler);
    const subscription = await this.#subscribe(channel, handler);
    const stop = this.#core.addNotificationListener(channel, handler);
    const entries = this.#entries.get(channel) ?? [];
    entries.push({ stop, subscription });
    this.#entries.set(channel, entries);
  }

  async remove(channel: string): Promise<void> {
    const entries = this.#entries.get(channel) ?? [];
    this.#entries.delete(channel);
    for (const entry of entries) entry.stop();
    await Promise.all(entries.map((entry) => entry.subscription.unsubscribe()));
  }
}
