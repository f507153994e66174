// One end of one native connection without I/O: bytes come in as chunks, frames that are legal now are
// taken out one by one, so that none of them waits in memory for the others; handshake state, declared names,
// pieces and heartbeat are dealt with here. Time is an argument.

import { errorFromWire, type IPCError, ipcError } from '../base/errors.ts';
import { decodeFrame, type Frame } from '../protocol/codec.ts';
import { type Alike, type Allocate, allocatePlain, FrameCutter } from '../protocol/frame.ts';
import { FIRST_FRAME_TYPE, FrameType, frameTypeName, HEADER_BYTES, LAST_FRAME_TYPE } from '../protocol/frame-types.ts';
import { FRAGMENT_BYTES, HANDSHAKE_BYTES_MAX, type Limits } from '../protocol/limits.ts';
import type { FrameWriter } from './frame-writer.ts';
import { Reassembly } from './reassembly.ts';
import { LEGAL_FRAMES, type SessionRole, type SessionState, TRANSITIONS } from './states.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** What the owner must do after `tick`. */
export type TickResult = 'nothing' | 'pinged' | 'dead';

export interface SessionOptions {
  readonly role: SessionRole;
  readonly limits: Limits;
  /** A ping goes out after this long without a word from the peer; two silent ones are death. */
  readonly heartbeatIntervalMs: number;
  /** Memory for what is received. Default: zeroed typed arrays. */
  readonly allocate?: Allocate;
}

export class Session {
  readonly writer: FrameWriter;
  readonly #role: SessionRole;
  readonly #limits: Limits;
  readonly #cutter: FrameCutter;
  readonly #reassembly: Reassembly;
  readonly #peerNames = new Map<number, string>();
  readonly #heartbeatIntervalMs: number;
  #state: SessionState = 'opening';
  #legal: readonly boolean[];
  #heardAt = 0;
  #namesForgotten = 0;
  #pingsUnanswered = 0;

  constructor(options: SessionOptions, writer: FrameWriter) {
    this.writer = writer;
    this.#role = options.role;
    this.#limits = options.limits;
    this.#heartbeatIntervalMs = options.heartbeatIntervalMs;
    const allocate = options.allocate ?? allocatePlain;
    this.#cutter = new FrameCutter(HANDSHAKE_BYTES_MAX, allocate);
    this.#reassembly = new Reassembly(options.limits.messageBytesMax, options.limits.partialMessagesMax, allocate);
    this.#legal = legalTable(options.role, 'opening');
  }

  get state(): SessionState {
    return this.#state;
  }

  get limits(): Limits {
    return this.#limits;
  }

  /** How often the peer has made us forget its channel numbers. */
  get namesForgotten(): number {
    return this.#namesForgotten;
  }

  /** When the peer was last heard. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Bytes of a body that is being received. */
  get heldBytes(): number {
    return this.#cutter.heldBytes;
  }

  /** Moves on; the table of states says what is possible. */
  become(state: SessionState): void {
    if (!TRANSITIONS[this.#state].includes(state)) {
      throw ipcError('SYSTEM_UNEXPECTED', `a session cannot go from ${this.#state} to ${state}`);
    }
    this.#state = state;
    this.#legal = legalTable(this.#role, state);
    if (state === 'open') {
      // Larger messages come in pieces, so one body is never larger than a piece or a whole small message.
      this.#cutter.bodyBytesMax = Math.max(FRAGMENT_BYTES, Math.min(this.#limits.messageBytesMax, 2 * FRAGMENT_BYTES));
    }
  }

  /** The name that the peer has given to a channel number; throws when it has given none. */
  peerName(channel: number): string {
    const name = this.#peerNames.get(channel);
    if (name === undefined) {
      throw ipcError('PEER_UNEXPECTED_FRAME', `channel number ${channel} was used before it was declared`, {
        details: { channel },
      });
    }
    return name;
  }

  /** Takes a chunk: `next` gives what is in it. */
  push(chunk: Uint8Array, now: number): void {
    this.#heardAt = now;
    this.#pingsUnanswered = 0;
    this.#cutter.push(chunk);
  }

  /**
   * The next frame for the owner; undefined when the chunk holds no more. Whoever must answer a frame before
   * he can look at those behind it, as in the handshake, goes on later. Throws `PEER_*` and `LIMIT_*` errors:
   * the owner says goodbye with them and closes.
   */
  next(): Frame | undefined {
    const cutter = this.#cutter;
    while (cutter.next()) {
      const frame = this.#take(decodeFrame(cutter.buffer, cutter.start, cutter.end));
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  /**
   * Takes the frames behind the one that `next` gave last which differ from it in their payload alone, as far as
   * they stand whole in the chunk and begin within `bytesMax`. Undefined when there is none, or the frame came in
   * pieces.
   */
  alike(bytesMax: number): Alike | undefined {
    return this.#cutter.alike(bytesMax);
  }

  /** Tells the peer which name a number of ours stands for. Once for each connection and number. */
  declare(channel: number, name: string): void {
    this.writer.frame(FrameType.DECLARE, 0, 0, 0, channel, 0, encoder.encode(name));
  }

  /** Makes the peer forget every number that was declared to it. Not while a large body is on its way. */
  forgetDeclared(): void {
    this.writer.frame(FrameType.DECLARE, 0, 0, 0, 0, 0);
  }

  /** To be called every now and then; pings a silent peer and tells when it must be taken for dead. */
  tick(now: number): TickResult {
    if (this.#state !== 'open' || this.#heartbeatIntervalMs === 0) return 'nothing';
    if (now - this.#heardAt < this.#heartbeatIntervalMs * (this.#pingsUnanswered + 1)) return 'nothing';
    if (this.#pingsUnanswered >= 2) return 'dead';
    this.#pingsUnanswered += 1;
    this.writer.frame(FrameType.PING, 0, 0, this.#pingsUnanswered, 0, 0);
    return 'pinged';
  }

  /** Gives the frame back where it is the owner's business. */
  #take(frame: Frame): Frame | undefined {
    if (this.#legal[frame.type - FIRST_FRAME_TYPE] !== true) {
      throw ipcError('PEER_UNEXPECTED_FRAME', `${frameTypeName(frame.type)} is not legal while ${this.#state}`, {
        details: { type: frame.type, state: this.#state },
      });
    }
    switch (frame.type) {
      case FrameType.PING:
        this.writer.frame(FrameType.PONG, 0, 0, frame.id, 0, 0);
        return undefined;
      case FrameType.DECLARE:
        this.#declared(frame);
        return undefined;
      case FrameType.FRAGMENT: {
        const body = this.#reassembly.add(frame);
        if (body === undefined) {
          // More pieces follow, and all but the last are of one size.
          this.#cutter.reuse();
          return undefined;
        }
        this.#cutter.dropSpare();
        return this.#take(decodeFrame(body, 0, body.length));
      }
      default:
        return frame;
    }
  }

  #declared(frame: Frame): void {
    if (frame.channel === 0) {
      this.#peerNames.clear();
      this.#namesForgotten += 1;
      return;
    }
    const known = this.#peerNames.get(frame.channel);
    const name = readText(frame);
    if (known !== undefined && known !== name) {
      throw ipcError(
        'PEER_UNEXPECTED_FRAME',
        `channel number ${frame.channel} was declared twice with different names`,
      );
    }
    if (known === undefined && this.#peerNames.size >= this.#limits.declaredChannelsMax) {
      throw ipcError('LIMIT_CHANNELS', `more than ${this.#limits.declaredChannelsMax} channels were declared`, {
        details: { declaredChannelsMax: this.#limits.declaredChannelsMax },
      });
    }
    this.#peerNames.set(frame.channel, name);
  }
}

/** The payload of a frame as text; a protocol error when it is not UTF-8. */
export function readText(frame: Frame): string {
  try {
    return decoder.decode(frame.payload);
  } catch (thrown) {
    throw ipcError('PEER_MALFORMED_FRAME', `${frameTypeName(frame.type)}: the payload is not UTF-8`, { cause: thrown });
  }
}

/** The payload of a control frame as a JSON object; an empty payload is an empty object. */
export function readFields(frame: Frame): Readonly<Record<string, unknown>> {
  if (frame.payloadBytes === 0) return {};
  const text = readText(frame);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    throw ipcError('PEER_MALFORMED_FRAME', `${frameTypeName(frame.type)}: the payload is not JSON`, { cause: thrown });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw ipcError('PEER_MALFORMED_FRAME', `${frameTypeName(frame.type)}: the payload is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** What an ERROR says; what is no text in it is left out. */
export function readError(frame: Frame): IPCError {
  const { code, message, details } = readFields(frame);
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const known = typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : undefined;
  return errorFromWire(text(code), text(message), known);
}

/** Bytes of the JSON object of a control frame. */
export function writeFields(fields: object): Uint8Array {
  return encoder.encode(JSON.stringify(fields));
}

function legalTable(role: SessionRole, state: SessionState): readonly boolean[] {
  const legal = LEGAL_FRAMES[role][state];
  return Array.from({ length: LAST_FRAME_TYPE - FIRST_FRAME_TYPE + 1 }, (_, i) => legal.includes(FIRST_FRAME_TYPE + i));
}

/** Bytes that a frame costs beside its payload: what credit counts, so that empty messages are not free. */
export const CREDIT_OVERHEAD_BYTES = HEADER_BYTES;
