// The door where the system's own pipes are duplex: on Windows, `\\.\pipe\NAME_isthmus`. Whoever connects has
// a lane; nothing has to be announced, and nothing is left by a process that is killed.

import { once } from 'node:events';
import { createConnection, createServer, type Server } from 'node:net';
import { errnoOf, PipeError, systemError } from './errors.ts';
import type { NewLane } from './fifo-door.ts';
import { LaneStream } from './lane-stream.ts';
import type { PipeAddress } from './names.ts';

/** The listener's side. */
export class SocketDoor {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws PipeError `NETWORK_LISTEN_FAILED` somebody listens there · `NETWORK_PERMISSION` */
  static async open(place: PipeAddress, mode: number, accept: (stream: LaneStream) => void): Promise<SocketDoor> {
    const server = createServer((socket) => accept(new LaneStream(socket, socket)));
    server.listen({ path: place.door, readableAll: (mode & 0o044) !== 0, writableAll: (mode & 0o022) !== 0 });
    try {
      await once(server, 'listening');
    } catch (thrown) {
      if (errnoOf(thrown) !== 'EADDRINUSE') throw systemError(thrown, 'listen on', place.data);
      throw new PipeError('NETWORK_LISTEN_FAILED', `somebody listens on ${place.data}`, {
        cause: thrown,
        details: { path: place.data },
      });
    }
    return new SocketDoor(server);
  }

  setRef(on: boolean): void {
    if (on) this.#server.ref();
    else this.#server.unref();
  }

  /** Who has a lane keeps it; who waits for one finds nobody. */
  close(): Promise<void> {
    this.#server.close();
    return Promise.resolve();
  }
}

/** The sender's side: a lane that is there when the listener takes it, and over when there is none. */
export function connectTo(place: PipeAddress): NewLane {
  const socket = createConnection(place.door);
  let failure: PipeError | undefined;
  socket.on('error', (thrown) => (failure = refusal(thrown, place)));
  return {
    stream: new LaneStream(socket, socket),
    isListenerThere: () => true,
    failure: () => failure,
    settle: () => {},
  };
}

/** Undefined when nobody listens there, which is no failure of the system. */
export function refusal(thrown: unknown, place: PipeAddress): PipeError | undefined {
  const errno = errnoOf(thrown);
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || errno === 'ECONNRESET' || errno === 'EPIPE') return undefined;
  return systemError(thrown, 'connect to', place.data);
}
