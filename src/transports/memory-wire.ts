// A pair of wires inside one process: for tests, and for a client that lives in the server's process.
// Chunks are copied and cross in turns of their own, as they would on a socket.

import { watchForStall } from './stall.ts';
import type { PeerAddress, Wire, WireEvents } from './wire.ts';

const HIGH_WATER_BYTES = 64 * 1024;

export function memoryWirePair(): [Wire, Wire] {
  const left = new MemoryWire();
  const right = new MemoryWire();
  left.join(right);
  right.join(left);
  return [left, right];
}

class MemoryWire implements Wire {
  readonly peer: PeerAddress = { transport: 'memory' };
  #other: MemoryWire | undefined;
  #events: WireEvents | undefined;
  #arrived: { readonly chunk: Uint8Array; readonly done: () => void }[] = [];
  #scheduled = false;
  #paused = false;
  #buffered = 0;
  #taken = 0;
  #unwatch: (() => void) | undefined;
  #full = false;
  #ending = false;
  #closed = false;

  join(other: MemoryWire): void {
    this.#other = other;
  }

  get bufferedBytes(): number {
    return this.#buffered;
  }

  open(events: WireEvents): void {
    this.#events = events;
    this.#schedule();
  }

  write(parts: readonly Uint8Array[], done: () => void): boolean {
    const other = this.#other;
    if (this.#closed || this.#ending || other === undefined) {
      done();
      return true;
    }
    const chunk = Buffer.concat(parts);
    const bytes = chunk.length;
    this.#buffered += bytes;
    other.#arrived.push({
      chunk,
      done: () => {
        this.#buffered -= bytes;
        this.#taken += bytes;
        done();
        if (this.#full && this.#buffered === 0) {
          this.#full = false;
          this.#events?.drain();
        }
        if (this.#ending && this.#buffered === 0) this.destroy();
      },
    });
    other.#schedule();
    this.#full = this.#buffered >= HIGH_WATER_BYTES;
    return !this.#full;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  end(): void {
    this.#ending = true;
    if (this.#buffered === 0) this.destroy();
  }

  hasten(stallMs: number): void {
    if (this.#closed) return;
    this.#unwatch ??= watchForStall(
      stallMs,
      () => this.#taken,
      () => this.destroy(),
    );
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch?.();
    queueMicrotask(() => this.#events?.close(undefined));
    this.#other?.destroy();
  }

  #schedule(): void {
    if (this.#scheduled || this.#events === undefined || this.#paused || this.#arrived.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#paused || this.#closed) return;
      const arrived = this.#arrived;
      this.#arrived = [];
      for (const { chunk, done } of arrived) {
        if (!this.#closed) this.#events?.data(chunk);
        done();
      }
    });
  }
}
