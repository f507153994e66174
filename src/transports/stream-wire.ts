// A wire over any stream socket of Node: TCP, TLS, Unix socket, Windows named pipe.

import type { Socket } from 'node:net';
import { lend } from './lend.ts';
import { watchForStall } from './stall.ts';
import type { PeerAddress, Wire, WireEvents } from './wire.ts';

export class StreamWire implements Wire {
  readonly peer: PeerAddress;
  readonly #socket: Socket;
  #error: Error | undefined;

  constructor(socket: Socket, peer: PeerAddress) {
    this.#socket = socket;
    this.peer = peer;
    // An error may come before `open`; without a listener it would end the process.
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    if (peer.transport === 'tcp' || peer.transport === 'tls') socket.setNoDelay(true);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  open(events: WireEvents): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => events.data(lend(chunk)));
    // A reader that looked at the first bytes may have left the stream paused.
    socket.resume();
    socket.on('drain', () => events.drain());
    // The peer will send nothing more; a half-open connection is of no use to this protocol.
    socket.on('end', () => socket.end());
    if (socket.destroyed) queueMicrotask(() => events.close(this.#error));
    else socket.once('close', () => events.close(this.#error));
  }

  write(parts: readonly Uint8Array[], done: () => void): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) {
      done();
      return true;
    }
    const last = parts.length - 1;
    if (last === 0) return socket.write(parts[0] as Uint8Array, done);
    socket.cork();
    let room = true;
    for (let i = 0; i <= last; i += 1) {
      room = i === last ? socket.write(parts[i] as Uint8Array, done) : socket.write(parts[i] as Uint8Array);
    }
    socket.uncork();
    return room;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  hasten(stallMs: number): void {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const taken = (): number => socket.bytesWritten - socket.writableLength;
    socket.once(
      'close',
      watchForStall(stallMs, taken, () => socket.destroy()),
    );
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
