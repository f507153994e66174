// Wire + session: the pump, and the only file that holds both. It moves chunks in, frames out to its
// owner, and writes what was laid out once a turn; at once when a slab is full.

import { ipcError, IPCError, toError } from '../base/errors.ts';
import { closeCodeOf } from '../protocol/close-codes.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameType } from '../protocol/frame-types.ts';
import { type Batch, FrameWriter } from '../session/frame-writer.ts';
import { Session, type SessionOptions, writeFields } from '../session/session.ts';
import type { SlabPool } from '../session/slab-pool.ts';
import type { Wire } from '../transports/wire.ts';
import type { Flushable, Turn } from './turn.ts';

/** Handed to the wire in one go; the rest waits, so that small frames can pass large bodies. */
const WRITE_BYTES = 512 * 1024;
/** Laid out in one turn; more than this is written before the turn ends. */
const EAGER_BYTES = 256 * 1024;

/** Who owns a connection: the server's or the client's side of it. */
export interface ConnectionOwner {
  /** Frames that arrived in one chunk, in order. What it throws ends the connection with that code. */
  frames(frames: readonly Frame[], now: number): void;
  /** Everything written has gone to the system after a time of congestion. */
  drained(): void;
  /** The connection is gone. `error` says why; a deliberate end by either side is `REMOTE_CLOSED` or `USAGE_CLOSED`. Called exactly once, last. */
  closed(error: IPCError): void;
}

export interface ConnectionOptions extends SessionOptions {
  readonly pool: SlabPool;
  readonly turn: Turn;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  /** From this many bytes on that the system has not taken, the connection counts as congested. */
  readonly congestedBytes: number;
}

export class Connection implements Flushable {
  readonly session: Session;
  readonly writer: FrameWriter;
  readonly #wire: Wire;
  readonly #options: ConnectionOptions;
  #owner: ConnectionOwner | undefined;
  #scheduled = false;
  #wireFull = false;
  #wasCongested = false;
  #ended = false;
  #reason: IPCError | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(wire: Wire, options: ConnectionOptions) {
    this.#wire = wire;
    this.#options = options;
    this.writer = new FrameWriter(options.pool);
    this.session = new Session(options, this.writer);
  }

  get peer(): Wire['peer'] {
    return this.#wire.peer;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Bytes laid out or buffered which the system has not taken. */
  get waitingBytes(): number {
    return this.writer.pendingBytes + this.#wire.bufferedBytes;
  }

  get congested(): boolean {
    if (!this.#wireFull && this.writer.pendingBytes < this.#options.congestedBytes) return false;
    if (this.waitingBytes < this.#options.congestedBytes) return false;
    this.#wasCongested = true;
    return true;
  }

  /** Begins to read. */
  open(owner: ConnectionOwner): void {
    this.#owner = owner;
    this.#wire.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => this.#drain(),
      close: (error) => this.#closed(error),
    });
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  /** Asks for a write at the end of this turn: to be called after frames were laid out. */
  touch(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#options.turn.add(this);
    } else if (!this.#wireFull && this.writer.pendingBytes >= EAGER_BYTES) {
      this.#write();
    }
  }

  /** The turn has ended. */
  flush(): void {
    this.#scheduled = false;
    if (!this.#wireFull) this.#write();
    this.#recover();
  }

  /** Says goodbye and ends once everything laid out has gone. `error` is what `closed` will be told. */
  close(error: IPCError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason ??= error;
    if (this.session.state !== 'closed') {
      const remote = error.code === 'USAGE_CLOSED' ? 'REMOTE_CLOSED' : error.code;
      const fields = { code: remote, message: error.message, retry: error.retry };
      this.writer.frame(FrameType.GOODBYE, 0, 0, 0, 0, closeCodeOf(remote), writeFields(fields));
      this.session.become('closed');
    }
    this.#finish();
  }

  /** Ends at once; nothing more is written. */
  destroy(error: IPCError): void {
    this.#ended = true;
    this.#reason ??= error;
    this.writer.clear();
    this.#wire.destroy();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    this.#bytesIn += chunk.length;
    const frames: Frame[] = [];
    const now = this.#options.clock();
    let fault: unknown;
    try {
      this.session.receive(chunk, now, frames);
    } catch (thrown) {
      fault = thrown;
    }
    this.#deliver(frames, now, fault);
  }

  /** Looks at what came behind the handshake in the same chunk. To be called once the session is open. */
  proceed(): void {
    const frames: Frame[] = [];
    let fault: unknown;
    try {
      this.session.proceed(frames);
    } catch (thrown) {
      fault = thrown;
    }
    this.#deliver(frames, this.#options.clock(), fault);
  }

  #deliver(frames: readonly Frame[], now: number, fault: unknown): void {
    try {
      if (frames.length > 0) this.#owner?.frames(frames, now);
      if (fault !== undefined) throw fault;
    } catch (thrown) {
      const error = toError(thrown);
      this.close(
        error instanceof IPCError ? error : ipcError('SYSTEM_UNEXPECTED', `unexpected: ${error.message}`, { cause: error }),
      );
    }
    if (this.writer.pendingBytes > 0 && !this.#ended) this.touch();
  }

  #write(): void {
    for (;;) {
      const batch = this.writer.take(WRITE_BYTES);
      if (batch === undefined) return;
      this.#bytesOut += batch.bytes;
      const room = this.#wire.write(batch.parts, () => this.writer.release(batch as Batch));
      if (!room) {
        this.#wireFull = true;
        return;
      }
    }
  }

  #drain(): void {
    this.#wireFull = false;
    this.#write();
    if (this.#ended) {
      this.#finish();
      return;
    }
    this.#recover();
  }

  #recover(): void {
    if (!this.#wasCongested || this.congested) return;
    this.#wasCongested = false;
    this.#owner?.drained();
  }

  #finish(): void {
    if (!this.#wireFull) this.#write();
    if (this.writer.pendingBytes === 0) this.#wire.end(closeCodeOf(this.#reason?.code ?? 'REMOTE_CLOSED'), this.#reason?.message);
  }

  #closed(cause: Error | undefined): void {
    this.#ended = true;
    this.#wireFull = true;
    this.writer.clear();
    if (this.session.state !== 'closed') this.session.become('closed');
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.closed(
      this.#reason ?? ipcError('NETWORK_LOST', `the connection was lost${cause ? `: ${cause.message}` : ''}`, { cause }),
    );
  }
}
