// Who is there: counts, peers, and events when somebody joins, leaves or dies. A peer is taken for dead only
// when the system has released its lock, so a stopped process is alive.

import type { ShmPeer } from '../native/shm-native.ts';
import { abortError } from '../base/errors.ts';
import type { Bell } from './bell.ts';
import { ConnMode, type ResolvedWait } from './options.ts';
import { callOut } from './outcalls.ts';
import { type Ring, WAIT } from './ring.ts';
import { WaitingQueue } from './waiting.ts';
import { closedError, IPCStatus, withStatus } from './status.ts';

/** One handle on a channel, as others see it. */
export interface Peer {
  /** Differs for every handle that ever joined the channel. */
  readonly id: string;
  /** Its process. */
  readonly pid: number;
  readonly name: string;
  /** Whether it sends. */
  readonly sends: boolean;
  /** Whether it receives. */
  readonly receives: boolean;
  /** True for a receiver that was evicted and has not come back. */
  readonly evicted: boolean;
  /** How far the receiver is behind, in bytes of the ring. */
  readonly lagBytes: number;
  /** When it joined. */
  readonly joinedAt: Date;
}

export type PresenceEvent = 'join' | 'leave' | 'death';

const STATE_EVICTED = 2;

export function toPeer(peer: ShmPeer): Peer {
  return {
    id: `${peer.slot}.${peer.generation}`,
    pid: peer.pid,
    name: peer.name,
    sends: (peer.role & ConnMode.SENDER) !== 0,
    receives: (peer.role & ConnMode.RECEIVER) !== 0,
    evicted: peer.state === STATE_EVICTED,
    lagBytes: peer.lagBytes,
    joinedAt: new Date(peer.joinedAt),
  };
}

export class Presence {
  onEvent: ((event: PresenceEvent, peer: Peer) => void) | undefined;
  readonly #ring: Ring;
  readonly #bell: Bell;
  readonly #waiting: WaitingQueue<void, number>;
  #known = new Map<string, ShmPeer>();
  #watching = false;

  constructor(ring: Ring, bell: Bell) {
    this.#ring = ring;
    this.#bell = bell;
    this.#waiting = new WaitingQueue('open', ring.name, () => this.#idle());
  }

  receivers(): number {
    return this.#ring.countOf(ConnMode.RECEIVER);
  }
  senders(): number {
    return this.#ring.countOf(ConnMode.SENDER);
  }
  peers(): Peer[] {
    return this.#ring.peers().map(toPeer);
  }

  /** Whether this handle was evicted and has not come back. */
  get isEvicted(): boolean {
    const { slot } = this.#ring.info;
    return this.#ring.peers().some((peer) => peer.slot === slot && peer.state === STATE_EVICTED);
  }

  /** False when the time ran out. */
  async waitForReceivers(count: number, wait: ResolvedWait): Promise<boolean> {
    try {
      if (wait.signal?.aborted) throw withStatus('open', abortError(wait.signal));
      if (this.receivers() >= count) return true;
      if (wait.timeoutMs === 0) return false;
      const come = this.#waiting.add(count, wait);
      this.#listen();
      await come;
      return true;
    } catch (error) {
      if (error instanceof Error && 'statusCode' in error && error.statusCode === IPCStatus.TIMEOUT) return false;
      throw error;
    }
  }

  /** Begins to report joins, leaves and deaths. */
  watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#known = this.#snapshot();
    this.#listen();
  }
  unwatch(): void {
    this.#watching = false;
    this.#idle();
  }

  #snapshot(): Map<string, ShmPeer> {
    return new Map(this.#ring.peers().map((peer) => [`${peer.slot}.${peer.generation}`, peer]));
  }

  #listen(): void {
    this.#bell.listen(WAIT.presence, this.#look, this.#waiting.size > 0);
    // Whatever it says: looking once is cheap, and arms it again.
    this.#bell.arm(WAIT.presence);
    queueMicrotask(this.#look);
  }

  #idle(): void {
    if (this.#waiting.size > 0) return;
    if (this.#watching) this.#bell.listen(WAIT.presence, this.#look, false);
    else this.#bell.stop(WAIT.presence);
  }

  readonly #look = (): void => {
    if (!this.#ring.isOpen) return;
    this.#bell.arm(WAIT.presence);
    if (this.#watching) this.#compare();
    if (this.#waiting.size === 0) return;
    const receivers = this.receivers();
    this.#waiting.resolveWhere((wanted) => wanted <= receivers, undefined);
    this.#idle();
  };

  #compare(): void {
    const now = this.#snapshot();
    const before = this.#known;
    this.#known = now;
    for (const [id, peer] of before) {
      if (now.has(id)) continue;
      // A listener may have closed the channel.
      if (!this.#ring.isOpen) return;
      // The slot remembers the last generation that said goodbye; a later one has used it since.
      const left = this.#ring.lastLeft(peer.slot) >= peer.generation;
      this.#tell(left ? 'leave' : 'death', peer);
    }
    for (const [id, peer] of now) {
      if (!this.#ring.isOpen) return;
      if (!before.has(id)) this.#tell('join', peer);
    }
  }

  #tell(event: PresenceEvent, peer: ShmPeer): void {
    callOut(() => this.onEvent?.(event, toPeer(peer)));
  }

  close(): void {
    this.#waiting.rejectAll(() => closedError('open', this.#ring.name));
    this.#watching = false;
  }
}
