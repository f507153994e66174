// Waiting without holding up the event loop. Each handle that waits has a FIFO; whoever has news rings it,
// and only then does this process do anything. A ringer may be killed just before it rings, so a timer
// looks as well, a few times a second.

import { Socket } from 'node:net';
import { type Ring, WAIT, type WaitFor } from './ring.ts';

/** For messages and for presence: a look costs little, and nobody but the one who looks waits for it. */
const GUARD_MS = 75;
/** Whoever waits for room looks more often: only so is a receiver found that died with the ring full. */
const SPACE_GUARD_MS = 20;
/** Without a bell (a runtime that cannot read a FIFO) the timer is all there is. */
const POLL_MS = 2;
const KINDS = [0, 1, 2] as const;

export class Bell {
  readonly #ring: Ring;
  readonly #listeners: ((() => void) | undefined)[] = [undefined, undefined, undefined];
  readonly #keepsAlive = [false, false, false];
  #socket: Socket | undefined;
  /** The socket that was told last whether to hold the process, and what it was told. */
  #holder: Socket | undefined;
  #holds = false;
  #guard: NodeJS.Timeout | undefined;
  #guardMs = 0;
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
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #start(): void {
    if (this.#closed) return;
    if (!this.#socket && !this.#failed) this.#connect();
    this.#watch();
    this.#reference();
  }

  #watch(): void {
    const guardMs = this.#failed ? POLL_MS : this.#listeners[WAIT.space] ? SPACE_GUARD_MS : GUARD_MS;
    if (this.#guard && this.#guardMs <= guardMs) return;
    this.#unguard();
    this.#guardMs = guardMs;
    this.#guard = setInterval(() => this.#look(), guardMs);
  }

  #unguard(): void {
    clearInterval(this.#guard);
    this.#guard = undefined;
  }

  #connect(): void {
    const fd = this.#ring.bell();
    if (fd < 0) {
      this.#failed = true;
      return;
    }
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('data', () => this.#rung());
    // The writing end that this handle holds itself keeps the FIFO from ending.
    socket.on('error', () => this.#lose(socket));
    socket.on('close', () => this.#lose(socket));
    socket.resume();
    this.#socket = socket;
  }

  #lose(socket: Socket): void {
    if (this.#socket !== socket || this.#closed) return;
    this.#socket = undefined;
    this.#failed = true;
    this.#unguard();
    if (this.#listeners.some((listener) => listener !== undefined)) this.#start();
  }

  #look(): void {
    // Somebody tidied up and took a fresh bell for an abandoned one.
    if (this.#socket && this.#ring.bellLost) {
      const lost = this.#socket;
      this.#socket = undefined;
      lost.destroy();
      this.#connect();
      this.#reference();
    }
    this.#rung();
  }

  #rung(): void {
    for (const what of KINDS) this.#listeners[what]?.();
  }

  #reference(): void {
    const alive = this.#keepsAlive.some(Boolean);
    if (this.#socket && (this.#holder !== this.#socket || this.#holds !== alive)) {
      this.#holder = this.#socket;
      this.#holds = alive;
      if (alive) this.#socket.ref();
      else this.#socket.unref();
    }
    // Without a socket the timer has to hold the process.
    if (alive && !this.#socket) this.#guard?.ref();
    else this.#guard?.unref();
  }
}
