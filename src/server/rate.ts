// How many messages a client has sent in this second. A fixed window: cheap, and a burst over two windows
// is at most twice the limit.

import { ipcError } from '../base/errors.ts';

const WINDOW_MS = 1000;

export class Rate {
  #windowEndsAt = 0;
  #messages = 0;

  /** Throws `LIMIT_RATE`. */
  spend(messages: number, now: number, perSecondMax: number): void {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#messages = 0;
    }
    this.#messages += messages;
    if (this.#messages <= perSecondMax) return;
    throw ipcError('LIMIT_RATE', `more than ${perSecondMax} messages a second`, { details: { perSecondMax } });
  }
}
