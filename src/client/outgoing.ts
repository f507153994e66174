// What a client publishes on one channel of one connection: its number, its credit, and what waits for
// credit. docs/protocol.md, "Credit".

import { SendCredit } from '../session/credit.ts';
import type { Acknowledgement } from './calls.ts';

/** A publish that waits for credit. */
export interface QueuedPublish {
  readonly flags: number;
  readonly content: number;
  readonly bytes: Uint8Array;
  readonly confirm: Acknowledgement | undefined;
}

/** A channel under its number of this connection. */
export class OutgoingChannel {
  readonly number: number;
  readonly name: string;
  readonly credit: SendCredit;
  readonly #ready: (() => void)[] = [];
  #queue: QueuedPublish[] = [];
  #head = 0;

  constructor(number: number, name: string, windowBytes: number) {
    this.number = number;
    this.name = name;
    this.credit = new SendCredit(windowBytes);
  }

  /** May a message leave now, without passing others? */
  get open(): boolean {
    return this.#head === this.#queue.length && this.credit.open;
  }

  push(publish: QueuedPublish): void {
    this.#queue.push(publish);
  }

  shift(): QueuedPublish | undefined {
    const first = this.#queue[this.#head];
    if (first === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#queue.length || this.#head === 1024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return first;
  }

  /** Calls `run` when it is open, or when the connection has ended. */
  whenOpen(run: () => void): void {
    this.#ready.push(run);
  }

  wake(): void {
    for (const run of this.#ready.splice(0)) run();
  }
}
