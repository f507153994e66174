// Waiting without holding up the event loop. Each handle that waits has a bell; whoever has news rings it,
// and only then does this process do anything. A ringer may be killed just before it rings, so a timer
// looks as well, a few times a second.

import { type Ear, openEar } from './ear.ts';
import { type Ring, WAIT, type WaitFor } from './ring.ts';
import { onTick } from './ticker.ts';

/** Whoever waits for room looks more often: only so is a receiver found that died with the ring full. */
const SPACE_GUARD_MS = 20;
/** Without a bell (a runtime that cannot hear one) the timer is all there is. */
const POLL_MS = 2;
const LOOKS_FOR_BELL = 4;
const KINDS = [0, 1, 2] as const;

export class Bell {
  readonly #ring: Ring;
  readonly #listeners: ((() => void) | undefined)[] = [undefined, undefined, undefined];
  readonly #keepsAlive = [false, false, false];
  #ear: Ear | undefined;
  /** The ear that was told last whether to hold the process, and what it was told. */
  #holder: Ear | undefined;
  #holds = false;
  /** For messages and for presence the tick of the thread, else a timer of this handle. */
  #endTicks: (() => void) | undefined;
  #guard: NodeJS.Timeout | undefined;
  #guardMs = 0;
  #looks = 0;
  #failed = false;
  #closed = false;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /**
   * Calls the listener after news of this kind, until `stop`. It looks, and then calls `arm` again.
   * `keepAlive`: the process does not end while somebody listens.
   */
  listen(what: WaitFor, listener: () => void, keepAlive: boolean): void {
    this.#listeners[what] = listener;
    this.#keepsAlive[what] = keepAlive;
    this.#start();
  }

  stop(what: WaitFor): void {
    if (!this.#listeners[what]) return;
    this.#listeners[what] = undefined;
    this.#keepsAlive[what] = false;
    if (this.#ring.isOpen) this.#ring.disarm(what);
    this.#unguard();
    if (this.#listeners.some((listener) => listener !== undefined)) this.#watch();
    this.#reference();
  }

  /** True when there is news already. */
  arm(what: WaitFor): boolean {
    return this.#ring.arm(what);
  }

  close(): void {
    this.#closed = true;
    for (const what of KINDS) this.#listeners[what] = undefined;
    this.#unguard();
    this.#ear?.destroy();
    this.#ear = undefined;
  }

  #start(): void {
    if (this.#closed) return;
    if (!this.#ear && !this.#failed) this.#connect();
    this.#watch();
    this.#reference();
  }

  #watch(): void {
    if (!this.#failed && !this.#listeners[WAIT.space]) {
      if (!this.#guard) this.#endTicks ??= onTick(this.#look);
      return;
    }
    const guardMs = this.#failed ? POLL_MS : SPACE_GUARD_MS;
    if (this.#guard && this.#guardMs <= guardMs) return;
    this.#unguard();
    this.#guardMs = guardMs;
    this.#guard = setInterval(this.#look, guardMs);
  }

  #unguard(): void {
    this.#endTicks?.();
    this.#endTicks = undefined;
    clearInterval(this.#guard);
    this.#guard = undefined;
  }

  #connect(): void {
    this.#ear = openEar(
      this.#ring,
      () => this.#rung(),
      (ear) => this.#lose(ear),
    );
    if (!this.#ear) this.#failed = true;
  }

  #lose(ear: Ear): void {
    if (this.#ear !== ear || this.#closed) return;
    this.#ear = undefined;
    this.#failed = true;
    this.#unguard();
    if (this.#listeners.some((listener) => listener !== undefined)) this.#start();
  }

  readonly #look = (): void => {
    // Somebody tidied up and took a fresh bell for an abandoned one.
    if (this.#ear && ++this.#looks % LOOKS_FOR_BELL === 0 && this.#ring.bellLost) {
      const lost = this.#ear;
      this.#ear = undefined;
      lost.destroy();
      this.#start();
    }
    this.#ring.tidy();
    // Whoever took the flags may have been killed before he rang: they are set again. Room and presence need
    // more than a look: those who listen find out who has died.
    if (this.#listeners[WAIT.data] && this.#ring.arm(WAIT.data)) this.#listeners[WAIT.data]?.();
    this.#listeners[WAIT.space]?.();
    this.#listeners[WAIT.presence]?.();
  };

  #rung(): void {
    for (const what of KINDS) this.#listeners[what]?.();
  }

  #reference(): void {
    const alive = this.#keepsAlive.some(Boolean);
    if (this.#ear && (this.#holder !== this.#ear || this.#holds !== alive)) {
      this.#holder = this.#ear;
      this.#holds = alive;
      if (alive) this.#ear.ref();
      else this.#ear.unref();
    }
    // Without an ear the timer has to hold the process.
    if (alive && !this.#ear) this.#guard?.ref();
    else this.#guard?.unref();
  }
}
