// Everything that belongs to one stay in a channel, from connect to disconnect.

import { onExit } from '../native/exit-duty.ts';
import { Bell } from './bell.ts';
import { type ChannelType, ConnMode, encodeName, type ResolvedOptions } from './options.ts';
import { Presence } from './presence.ts';
import { Receiver } from './receiver.ts';
import { Ring } from './ring.ts';
import { Sender } from './sender.ts';
import { shmError } from './status.ts';
import { Views } from './view.ts';

/** What was dropped without a close is collected, and leaves so. */
const collected = new FinalizationRegistry<() => void>((forgetExit) => forgetExit());

export class ShmSession {
  readonly ring: Ring;
  readonly bell: Bell;
  readonly presence: Presence;
  readonly views: Views;
  readonly #sender: Sender | undefined;
  readonly #receiver: Receiver | undefined;
  readonly #forgetExit: () => void;

  constructor(name: string, type: ChannelType, mode: ConnMode, options: ResolvedOptions) {
    this.ring = new Ring(name, encodeName(name), type, mode, options);
    this.bell = new Bell(this.ring);
    this.presence = new Presence(this.ring, this.bell);
    this.views = new Views(this.ring);
    if (mode & ConnMode.SENDER) this.#sender = new Sender(this.ring, this.bell);
    if (mode & ConnMode.RECEIVER) this.#receiver = new Receiver(this.ring, this.bell, options);
    const self = new WeakRef(this);
    this.#forgetExit = onExit(() => self.deref()?.close());
    collected.register(this, this.#forgetExit, this);
  }

  get sender(): Sender {
    if (!this.#sender) throw shmError('send', 'USAGE_WRONG_MODE', `channel '${this.ring.name}' was not opened to send`);
    if (this.views.isLoaned) {
      throw shmError('send', 'USAGE_WRONG_MODE', `channel '${this.ring.name}': commit or release the loan first`);
    }
    return this.#sender;
  }
  get receiver(): Receiver {
    if (!this.#receiver) {
      throw shmError('receive', 'USAGE_WRONG_MODE', `channel '${this.ring.name}' was not opened to receive`);
    }
    return this.#receiver;
  }
  get optionalReceiver(): Receiver | undefined {
    return this.#receiver;
  }

  close(): void {
    if (!this.ring.isOpen) return;
    collected.unregister(this);
    this.#forgetExit();
    this.views.releaseAll();
    this.bell.close();
    this.ring.close();
    this.#sender?.close();
    this.#receiver?.close();
    this.presence.close();
  }
}
