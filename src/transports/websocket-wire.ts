// A wire over a WebSocket of the `ws` package. Binary messages, joined, are the stream of frames; where
// one message ends means nothing (docs/protocol.md, "Framing").

import type { WebSocket } from 'ws';
import { watchForStall } from './stall.ts';
import type { PeerAddress, Wire, WireEvents } from './wire.ts';

const HIGH_WATER_BYTES = 256 * 1024;

export class WebSocketWire implements Wire {
  readonly peer: PeerAddress;
  readonly #socket: WebSocket;
  #events: WireEvents | undefined;
  #early: Uint8Array[] = [];
  #error: Error | undefined;
  #full = false;
  #writtenBytes = 0;

  constructor(socket: WebSocket, peer: PeerAddress) {
    this.#socket = socket;
    this.peer = peer;
    socket.binaryType = 'nodebuffer';
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    // One who floods us with pings and reads no answer gets none: pongs must not pile up.
    socket.on('ping', (data) => {
      if (socket.bufferedAmount < HIGH_WATER_BYTES) socket.pong(data);
    });
    socket.on('message', (data, isBinary) => this.#message(data, isBinary));
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  open(events: WireEvents): void {
    this.#events = events;
    if (this.#socket.readyState === this.#socket.CLOSED) queueMicrotask(() => events.close(this.#error));
    else this.#socket.once('close', () => events.close(this.#error));
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) events.data(chunk);
  }

  write(parts: readonly Uint8Array[], done: () => void): boolean {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) {
      done();
      return true;
    }
    for (const part of parts) this.#writtenBytes += part.length;
    // Small parts share a message: the masking and framing of each costs more than the copy.
    socket.send(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), { binary: true }, () => {
      done();
      if (this.#full && socket.bufferedAmount < HIGH_WATER_BYTES / 2) {
        this.#full = false;
        this.#events?.drain();
      }
    });
    this.#full = socket.bufferedAmount >= HIGH_WATER_BYTES;
    return !this.#full;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(closeCode = 1000, reason = ''): void {
    // A close frame has room for 123 bytes of reason.
    this.#socket.close(
      closeCode,
      Buffer.from(reason)
        .subarray(0, 120)
        .toString()
        .replace(/\ufffd+$/u, ''),
    );
  }

  hasten(stallMs: number): void {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    const taken = (): number => this.#writtenBytes - socket.bufferedAmount;
    socket.once(
      'close',
      watchForStall(stallMs, taken, () => socket.terminate()),
    );
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #message(data: unknown, isBinary: boolean): void {
    if (!isBinary) {
      this.#socket.close(1003, 'text messages are not part of this protocol');
      return;
    }
    const chunk = data as Uint8Array;
    if (this.#events === undefined) this.#early.push(chunk);
    else this.#events.data(chunk);
  }
}
