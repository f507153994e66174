// What a client publishes on a connection: its channels by number, their credit, and what waits for
// credit. docs/protocol.md, "Credit".

import { ipcError } from '../base/errors.ts';
import type { Connection } from '../connection/connection.ts';
import { FrameType } from '../protocol/frame-types.ts';
import { checkChannelName } from '../protocol/names.ts';
import type { EncodedPayload } from '../protocol/payload.ts';
import { SendCredit } from '../session/credit.ts';
import { CREDIT_OVERHEAD_BYTES } from '../session/session.ts';
import type { Acknowledgement, CallTable, Pending } from './calls.ts';

/** A publish that waits for credit. */
interface QueuedPublish {
  readonly flags: number;
  readonly content: number;
  readonly bytes: Uint8Array;
  readonly confirm: Acknowledgement | undefined;
}

/** Names that the server is told before it is asked to forget them all; it holds 10,000. */
const DECLARED_MAX = 5000;

/** A channel under its number of this connection. */
class OutgoingChannel {
  readonly name: string;
  /** The last that it was declared under; credit may still come for it when the server has forgotten it. */
  number = 0;
  declared = false;
  readonly credit: SendCredit;
  #ready = new Set<() => void>();
  #queue: QueuedPublish[] = [];
  #head = 0;

  constructor(name: string, windowBytes: number) {
    this.name = name;
    this.credit = new SendCredit(windowBytes);
  }

  /** Is there nothing that must not be forgotten? */
  get idle(): boolean {
    return this.credit.full && this.#ready.size === 0 && this.#head === this.#queue.length;
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

  whenOpen(run: () => void): () => void {
    this.#ready.add(run);
    return () => void this.#ready.delete(run);
  }

  wake(): void {
    if (this.#ready.size === 0) return;
    const ready = this.#ready;
    this.#ready = new Set();
    for (const run of ready) run();
  }
}

export class Outgoing {
  readonly #connection: Connection;
  readonly #calls: CallTable;
  readonly #queueBytesMax: number;
  readonly #byName = new Map<string, OutgoingChannel>();
  /** Old numbers too, of channels for which credit may still come under them. No number is given twice. */
  readonly #byNumber = new Map<number, OutgoingChannel>();
  #last: OutgoingChannel | undefined;
  #lastNumber = 0;
  #declared = 0;
  #windowBytes = 0;
  #queuedBytes = 0;

  constructor(connection: Connection, calls: CallTable, queueBytesMax: number) {
    this.#connection = connection;
    this.#calls = calls;
    this.#queueBytesMax = queueBytesMax;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** The server has said how much credit each channel begins with. */
  begin(windowBytes: number): void {
    this.#windowBytes = windowBytes;
  }

  /** The channel by its name; declared at its first use. */
  channel(name: string): OutgoingChannel {
    // Most publishes are on the channel of the one before.
    const last = this.#last;
    if (last !== undefined && last.name === name && last.declared) return last;
    let out = this.#byName.get(name);
    this.#last = out;
    if (out?.declared === true) return out;
    if (out === undefined) {
      checkChannelName(name);
      out = new OutgoingChannel(name, this.#windowBytes);
    }
    this.#declare(out);
    return out;
  }

  /** Publishes, or keeps it until there is credit. Throws `LIMIT_OUTBOX` when too much waits. */
  publish(channel: string, flags: number, payload: EncodedPayload, confirm: Acknowledgement | undefined): void {
    const out = this.channel(channel);
    if (out.open) {
      this.#send(out, flags, payload.content, payload.bytes, confirm);
      return;
    }
    const bytes = payload.bytes.length + CREDIT_OVERHEAD_BYTES;
    if (this.#queuedBytes + bytes > this.#queueBytesMax) {
      throw ipcError(
        'LIMIT_OUTBOX',
        `${this.#queuedBytes} bytes wait to be published; await publishReady('${channel}')`,
        { details: { channel, waitingBytes: this.#queuedBytes, bytesMax: this.#queueBytesMax } },
      );
    }
    this.#queuedBytes += bytes;
    out.push({ flags, content: payload.content, bytes: payload.bytes, confirm });
  }

  /** The server has granted credit. */
  granted(channel: number, bytes: number): void {
    const out = this.#byNumber.get(channel);
    // What was forgotten had all its credit.
    if (out === undefined && channel > 0 && channel <= this.#lastNumber) return;
    if (out === undefined) {
      throw ipcError('PEER_UNEXPECTED_FRAME', `credit for channel ${channel}, which was not declared`);
    }
    out.credit.grant(bytes);
    while (out.credit.open) {
      const queued = out.shift();
      if (queued === undefined) break;
      this.#queuedBytes -= queued.bytes.length + CREDIT_OVERHEAD_BYTES;
      if (queued.confirm?.settled === true) continue;
      this.#send(out, queued.flags, queued.content, queued.bytes, queued.confirm);
    }
    if (out.open) out.wake();
  }

  /** The connection has gone: gives those who wait for what was never sent, and the number that nobody awaits. */
  end(): { readonly waiting: readonly Pending[]; readonly unsent: number } {
    const waiting: Pending[] = [];
    let unsent = 0;
    for (const out of this.#byName.values()) {
      for (let queued = out.shift(); queued !== undefined; queued = out.shift()) {
        if (queued.confirm === undefined) unsent += 1;
        else waiting.push(queued.confirm);
      }
    }
    this.#queuedBytes = 0;
    return { waiting, unsent };
  }

  wake(): void {
    for (const out of this.#byName.values()) out.wake();
  }

  #declare(out: OutgoingChannel): void {
    if (this.#declared >= DECLARED_MAX) this.#beginAnew();
    this.#lastNumber += 1;
    this.#declared += 1;
    out.number = this.#lastNumber;
    out.declared = true;
    this.#byName.set(out.name, out);
    this.#byNumber.set(out.number, out);
    this.#connection.session.declare(out.number, out.name);
  }

  /** docs/protocol.md, "Channels": the server forgets the names, and we those that need not be remembered. */
  #beginAnew(): void {
    this.#connection.writer.cutAll();
    this.#connection.session.forgetDeclared();
    this.#declared = 0;
    for (const [number, out] of this.#byNumber) {
      out.declared = false;
      if (!out.idle) continue;
      this.#byNumber.delete(number);
      this.#byName.delete(out.name);
    }
  }

  #send(
    out: OutgoingChannel,
    flags: number,
    content: number,
    bytes: Uint8Array,
    confirm: Acknowledgement | undefined,
  ): void {
    if (!out.declared) this.#declare(out);
    let id = 0;
    if (confirm !== undefined) {
      id = this.#calls.add(confirm);
      confirm.link = this.#unanswered;
    }
    out.credit.spend(bytes.length + CREDIT_OVERHEAD_BYTES);
    this.#connection.writer.frame(FrameType.PUBLISH, flags, content, id, out.number, 0, bytes);
    this.#connection.touch();
  }

  /** A publish cannot be taken back: nobody waits for its answer any more, that is all. */
  readonly #unanswered = { forget: (id: number) => void this.#calls.take(id) };
}
