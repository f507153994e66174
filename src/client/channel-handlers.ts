// The original's one handler for whatever arrives on a channel, on top of subscriptions and listeners.

import { functionOption } from '../base/options.ts';
import { checkChannelName } from '../protocol/names.ts';
import type { ClientCore } from './core.ts';
import type { Disposer } from './listeners.ts';
import type { MessageHandler, Subscription } from './subscription.ts';

interface Entry {
  readonly stop: Disposer;
  readonly subscription: Promise<Subscription>;
}

export class ChannelHandlers {
  readonly #core: ClientCore;
  readonly #subscribe: (channel: string, handler: MessageHandler) => Promise<Subscription>;
  readonly #entries = new Map<string, Set<Entry>>();

  constructor(core: ClientCore, subscribe: (channel: string, handler: MessageHandler) => Promise<Subscription>) {
    this.#core = core;
    this.#subscribe = subscribe;
  }

  async create(channel: string, handler: MessageHandler): Promise<void> {
    checkChannelName(channel);
    functionOption('handler', handler);
    const stop = this.#core.addNotificationListener(channel, handler);
    const entry = { stop, subscription: this.#subscribe(channel, handler) };
    const entries = this.#entries.get(channel) ?? new Set();
    this.#entries.set(channel, entries.add(entry));
    const over = () => {
      stop();
      entries.delete(entry);
    };
    try {
      (await entry.subscription).whenEnded(over);
    } catch (thrown) {
      over();
      throw thrown;
    }
  }

  /** Those that are still being made, too. */
  async remove(channel: string): Promise<void> {
    checkChannelName(channel);
    const entries = [...(this.#entries.get(channel) ?? [])];
    this.#entries.delete(channel);
    for (const entry of entries) entry.stop();
    // One that was refused has told its caller.
    await Promise.all(
      entries.map(({ subscription }) =>
        subscription.then(
          (made) => made.unsubscribe(),
          () => {},
        ),
      ),
    );
  }
}
