// A wire over a WebSocket of the `ws` package. Binary messages, joined, are the stream of frames; where
// one message ends means nothing (docs/protocol.md, "Framing").

import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { closeCodeOf } from '../protocol/close-codes.ts';
import { WEBSOCKET_HANDSHAKE_BYTES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX } from '../protocol/limits.ts';
import { lend } from './lend.ts';
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
  /** Takes the bound of the handshake away. */
  #held: (() => void) | undefined;

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
    // Small parts share a message: the masking and framing of each costs more than the copy.
    let first = 0;
    let bytes = 0;
    for (let i = 0; i < parts.length; i += 1) {
      const { length } = parts[i] as Uint8Array;
      if (bytes + length > WEBSOCKET_MESSAGE_BYTES_MAX && i > first) {
        this.#send(parts.slice(first, i), undefined);
        first = i;
        bytes = 0;
      }
      bytes += length;
      this.#writtenBytes += length;
    }
    this.#send(first === 0 ? parts : parts.slice(first), done);
    this.#full = socket.bufferedAmount >= HIGH_WATER_BYTES;
    return !this.#full;
  }

  /** Until `admitted`, ends the connection that sends more than a handshake takes on this stream, in one message or many. */
  holdToHandshake(stream: Duplex): void {
    let bytes = 0;
    const count = (chunk: Uint8Array): void => {
      bytes += chunk.length;
      if (bytes <= WEBSOCKET_HANDSHAKE_BYTES_MAX) return;
      this.#held?.();
      this.end(closeCodeOf('LIMIT_MESSAGE_BYTES'), 'LIMIT_MESSAGE_BYTES: more than a handshake before the handshake');
      // Whoever floods us is not waited for.
      this.#socket.terminate();
    };
    stream.on('data', count);
    this.#held = () => {
      this.#held = undefined;
      stream.off('data', count);
    };
  }

  admitted(): void {
    this.#held?.();
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

  #send(parts: readonly Uint8Array[], done: (() => void) | undefined): void {
    const socket = this.#socket;
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    if (done === undefined) {
      socket.send(bytes, { binary: true });
      return;
    }
    socket.send(bytes, { binary: true }, () => {
      done();
      if (this.#full && socket.bufferedAmount < HIGH_WATER_BYTES / 2) {
        this.#full = false;
        this.#events?.drain();
      }
    });
  }

  #message(data: unknown, isBinary: boolean): void {
    if (!isBinary) {
      this.#socket.close(1003, 'text messages are not part of this protocol');
      return;
    }
    const chunk = lend(data as Uint8Array);
    if (this.#events === undefined) this.#early.push(chunk);
    else this.#events.data(chunk);
  }
}
