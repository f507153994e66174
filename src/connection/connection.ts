// Wire + session: the pump, and the only file that holds both. It moves chunks in and hands frames to its
// owner; what goes out is the business of its outflow.

import { ipcError, IPCError, toError } from '../base/errors.ts';
import { closeCodeOf } from '../protocol/close-codes.ts';
import type { Frame } from '../protocol/codec.ts';
import type { Alike } from '../protocol/frame.ts';
import { FrameType } from '../protocol/frame-types.ts';
import type { FrameWriter } from '../session/frame-writer.ts';
import { Session, type SessionOptions, writeFields } from '../session/session.ts';
import type { Wire } from '../transports/wire.ts';
import { Outflow, type OutflowOptions } from './outflow.ts';

/** What has arrived, to be taken out frame by frame. */
export interface FrameSource {
  /** Undefined when there are no more for now. What it throws is the peer's fault and not to be caught. */
  next(): Frame | undefined;
  /**
   * The frames behind the last one which differ from it in their payload alone, as far as they begin within
   * `bytesMax` bytes of bodies: to be asked at once.
   */
  alike(bytesMax: number): Alike | undefined;
  /** Nothing more is to be taken from this peer, not even what was given already. */
  readonly ended: boolean;
}

/** Who owns a connection: the server's or the client's side of it. */
export interface ConnectionOwner {
  /**
   * A chunk has arrived: its frames, in order, perhaps none. Those that are not taken out wait for `proceed`.
   * What it throws ends the connection with that code.
   */
  frames(frames: FrameSource, now: number): void;
  /** Everything written has gone to the system after a time of congestion. */
  drained(): void;
  /**
   * Goodbye was said, by us or by the peer: nothing more is taken from it, and what is laid out from now on
   * it will not look at. The wire may need some time to go. At most once, before `closed`.
   */
  ending?(error: IPCError): void;
  /**
   * The connection is gone. `error` says why: what `close` or `destroy` was given, else `NETWORK_LOST`.
   * Called exactly once, last.
   */
  closed(error: IPCError): void;
}

export interface ConnectionOptions extends SessionOptions, OutflowOptions {
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

export class Connection implements FrameSource {
  readonly session: Session;
  readonly #wire: Wire;
  readonly #outflow: Outflow;
  readonly #clock: () => number;
  #owner: ConnectionOwner | undefined;
  #ended = false;
  #held = false;
  /** What came in while it was held. */
  readonly #early: Uint8Array[] = [];
  #reason: IPCError | undefined;
  #bytesIn = 0;

  constructor(wire: Wire, options: ConnectionOptions) {
    this.#wire = wire;
    this.#clock = options.clock;
    this.#outflow = new Outflow(wire, options, () => this.#owner?.drained());
    this.session = new Session(options, this.#outflow.writer);
  }

  get peer(): Wire['peer'] {
    return this.#wire.peer;
  }

  get writer(): FrameWriter {
    return this.#outflow.writer;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#outflow.bytesOut;
  }

  get waitingBytes(): number {
    return this.#outflow.waitingBytes;
  }

  get congested(): boolean {
    return this.#outflow.congested;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Begins to read. */
  open(owner: ConnectionOwner): void {
    this.#owner = owner;
    this.#wire.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => this.#outflow.drained(),
      close: (error) => this.#closed(error),
    });
  }

  /** Another owner from now on: the handshake is over. */
  handOver(owner: ConnectionOwner): void {
    this.#owner = owner;
  }

  /** The peer was welcomed. */
  admitted(): void {
    this.#wire.admitted?.();
  }

  /** Gives the owner nothing more until `release`, of what has come in already either. */
  hold(): void {
    this.#held = true;
    this.#wire.pause();
  }

  /** Goes on where `hold` stopped, and reads on unless the owner holds it again. */
  release(): void {
    this.#held = false;
    this.#deliver(this.#clock());
    while (!this.#held && !this.#ended) {
      const chunk = this.#early.shift();
      if (chunk === undefined) {
        this.#wire.resume();
        return;
      }
      this.#take(chunk);
    }
  }

  /** Asks for a write at the end of this turn: to be called after frames were laid out. */
  touch(): void {
    this.#outflow.touch();
  }

  next(): Frame | undefined {
    return this.#ended || this.#held ? undefined : this.session.next();
  }

  alike(bytesMax: number): Alike | undefined {
    return this.#ended || this.#held ? undefined : this.session.alike(bytesMax);
  }

  /** Says goodbye and ends once everything laid out has gone. `error` is what `closed` will be told. */
  close(error: IPCError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason ??= error;
    const code = error.code === 'USAGE_CLOSED' ? 'REMOTE_CLOSED' : error.code;
    if (this.session.state !== 'closed') {
      const fields = { code, message: error.message, retry: error.retry };
      this.writer.frame(FrameType.GOODBYE, 0, 0, 0, 0, closeCodeOf(code), writeFields(fields));
      this.session.become('closed');
    }
    // A wire that is not read from would never learn that the peer has hung up.
    this.#wire.resume();
    this.#outflow.end(closeCodeOf(code), error.message);
    this.#owner?.ending?.(this.#reason);
  }

  /** Ends at once; nothing more is written. */
  destroy(error: IPCError): void {
    this.#ended = true;
    this.#reason ??= error;
    this.#outflow.stop();
    this.#wire.destroy();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    this.#bytesIn += chunk.length;
    // A wire that is paused may give what it has read before.
    if (this.#held) this.#early.push(chunk);
    else this.#take(chunk);
  }

  #take(chunk: Uint8Array): void {
    const now = this.#clock();
    this.session.push(chunk, now);
    this.#deliver(now);
  }

  #deliver(now: number): void {
    try {
      this.#owner?.frames(this, now);
    } catch (thrown) {
      this.#fail(thrown);
    }
    if (this.writer.pendingBytes > 0 && !this.#ended) this.touch();
  }

  #fail(thrown: unknown): void {
    const error = toError(thrown);
    this.close(
      error instanceof IPCError
        ? error
        : ipcError('SYSTEM_UNEXPECTED', `unexpected: ${error.message}`, { cause: error }),
    );
  }

  #closed(cause: Error | undefined): void {
    this.#ended = true;
    this.#outflow.stop();
    if (this.session.state !== 'closed') this.session.become('closed');
    const owner = this.#owner;
    this.#owner = undefined;
    const lost = `the connection was lost${cause === undefined ? '' : `: ${cause.message}`}`;
    owner?.closed(this.#reason ?? ipcError('NETWORK_LOST', lost, { cause }));
  }
}
