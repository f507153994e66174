// What hears a bell: a socket over its FIFO; in Bun, whose sockets stay silent over a descriptor, a stream; on
// Windows, where a bell is an event of the system's, a thread of the system's that calls back into the event loop.

import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Ring } from './ring.ts';

export interface Ear {
  /** The process stays for what it may hear. */
  ref(): void;
  unref(): void;
  destroy(): void;
}

/**
 * Has `rung` called after the bell was rung; `lost` when nothing more will be heard. Undefined where this
 * runtime cannot hear bells.
 */
export function openEar(ring: Ring, rung: () => void, lost: (ear: Ear) => void): Ear | undefined {
  return process.platform === 'win32' ? eventEar(ring, rung) : fifoEar(ring, rung, lost);
}

function fifoEar(ring: Ring, rung: () => void, lost: (ear: Ear) => void): Ear | undefined {
  const fd = ring.bell();
  if (fd < 0) return undefined;
  const bun: unknown = Reflect.get(globalThis, 'Bun');
  if (isBun(bun)) return new StreamEar(bun, fd, rung, lost);
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on('data', rung);
  // The writing end that this handle holds itself keeps the FIFO from ending.
  socket.on('error', () => lost(socket));
  socket.on('close', () => lost(socket));
  socket.resume();
  return socket;
}

function eventEar(ring: Ring, rung: () => void): Ear | undefined {
  if (ring.watchBell(rung) < 0) return undefined;
  return { ref: () => ring.holdBell(true), unref: () => ring.holdBell(false), destroy: () => ring.unwatchBell() };
}

interface BunRuntime {
  file(fd: number): { stream(): ReadableStream<Uint8Array> };
}

function isBun(value: unknown): value is BunRuntime {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'file') === 'function';
}

/** How long a stream is read on after nobody needed it to hold the process: whoever waits again soon finds it, in ms. */
const LINGER_MS = 100;

/** A stream that is being read holds the process; so it is read only while it may, and else the timer looks. */
class StreamEar implements Ear {
  readonly #bun: BunRuntime;
  readonly #fd: number;
  readonly #rung: () => void;
  readonly #lost: (ear: Ear) => void;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #lingering: NodeJS.Timeout | undefined;
  #destroyed = false;

  constructor(bun: BunRuntime, fd: number, rung: () => void, lost: (ear: Ear) => void) {
    this.#bun = bun;
    this.#fd = fd;
    this.#rung = rung;
    this.#lost = lost;
  }

  ref(): void {
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    if (this.#destroyed || this.#reader) return;
    this.#reader = this.#bun.file(this.#fd).stream().getReader();
    void this.#read(this.#reader);
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    try {
      while (!(await reader.read()).done) this.#rung();
    } catch {
      // Lost, as when it ends.
    }
    if (this.#reader === reader) this.#lost(this);
  }

  unref(): void {
    if (this.#reader) this.#lingering ??= setTimeout(() => this.#stop(), LINGER_MS);
  }

  #stop(): void {
    clearTimeout(this.#lingering);
    this.#lingering = undefined;
    const reader = this.#reader;
    this.#reader = undefined;
    // That it cannot be ended tells nobody anything.
    reader?.cancel().catch(() => undefined);
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#stop();
    closeSync(this.#fd);
  }
}
