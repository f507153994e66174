// The listener's end of one lane: frames of one sender in, its acknowledgements out.

import {
  doneFrame,
  failedFrame,
  type Frame,
  FrameDecoder,
  goodbyeFrame,
  type GoodbyeCode,
  VERSION,
  welcomeFrame,
} from './frames.ts';
import type { Answer, Inbox, Outcome } from './inbox.ts';
import type { LaneStream } from './lane-stream.ts';

export interface LaneHost {
  readonly inbox: Inbox;
  /** Tells one life of a listener from the next: only the same one knows which messages it has processed. */
  readonly instance: string;
  readonly maxMessageBytes: number;
  /** Undefined when a further sender may come in, else why not. */
  refusal(): GoodbyeCode | undefined;
  gone(lane: LaneServer): void;
  /** Whether this is the only sender. */
  isAlone(): boolean;
}

/** What one sender may have waiting before we stop reading from it. */
const PAUSE_ABOVE = { messages: 1_024, bytes: 4 * 1024 * 1024 };
const FAREWELL_GRACE_MS = 1_000;

export class LaneServer {
  readonly #host: LaneHost;
  readonly #stream: LaneStream;
  readonly #decoder: FrameDecoder;
  readonly #waiting = new Map<number, { readonly answer: Answer; readonly bytes: number }>();
  #waitingBytes = 0;
  #isPaused = false;
  #sender: string | undefined;
  #done: number[] = [];

  constructor(host: LaneHost, stream: LaneStream) {
    this.#host = host;
    this.#stream = stream;
    this.#decoder = new FrameDecoder(host.maxMessageBytes, (frame) => this.#receive(frame));
    stream.start({
      data: (chunk) => this.#push(chunk),
      end: () => host.gone(this),
      expects: () => this.#waiting.size === 0 && host.isAlone(),
    });
  }

  /** Says that everything processed has been answered and the rest never will be, then closes. */
  async farewell(code: GoodbyeCode): Promise<void> {
    this.#flushDone();
    this.#stream.write(goodbyeFrame(code));
    await this.#stream.end(FAREWELL_GRACE_MS);
  }

  #push(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } catch {
      // Not our protocol: nothing that follows can be trusted.
      this.#stream.destroy();
      this.#host.gone(this);
    }
  }

  #receive(frame: Frame): void {
    switch (frame.type) {
      case 'hello':
        this.#welcome(frame.version, frame.sender);
        return;
      case 'message':
        this.#offer(frame);
        return;
      case 'oversize':
        this.#fail(frame.seq, {
          ok: false,
          code: 'LIMIT_MESSAGE_BYTES',
          text: `${frame.bytes} bytes; the listener takes ${this.#host.maxMessageBytes}`,
        });
        return;
      case 'cancel':
        this.#cancel(frame.seq);
        return;
      default:
        throw new Error(`a ${frame.type} frame from a sender`);
    }
  }

  #welcome(version: number, sender: string): void {
    const refusal = version === VERSION ? this.#host.refusal() : 'PEER_VERSION';
    if (refusal !== undefined) {
      void this.farewell(refusal).then(() => this.#host.gone(this));
      return;
    }
    this.#sender = sender;
    this.#stream.write(welcomeFrame(this.#host.instance, this.#host.maxMessageBytes));
  }

  #offer(frame: Frame & { type: 'message' }): void {
    if (this.#sender === undefined) throw new Error('a message before the hello');
    const { seq, payload, isText } = frame;
    const answer: Answer = (outcome) => {
      this.#settle(seq);
      this.#answer(seq, outcome);
    };
    this.#waiting.set(seq, { answer, bytes: payload.length });
    this.#waitingBytes += payload.length;
    const id = frame.id === '' ? `${this.#sender}:${seq}` : `=${frame.id}`;
    this.#host.inbox.offer({ id, payload, isText, from: 'isthmus' }, answer);
    this.#regulate();
  }

  #answer(seq: number, outcome: Outcome): void {
    if (outcome.ok) {
      this.#done.push(seq);
      if (this.#done.length === 1) process.nextTick(() => this.#flushDone());
    } else {
      this.#fail(seq, outcome);
    }
  }

  #cancel(seq: number): void {
    const waiting = this.#waiting.get(seq);
    if (waiting !== undefined && this.#host.inbox.withdraw(waiting.answer)) this.#settle(seq);
  }

  #settle(seq: number): void {
    const waiting = this.#waiting.get(seq);
    if (waiting === undefined) return;
    this.#waiting.delete(seq);
    this.#waitingBytes -= waiting.bytes;
    this.#regulate();
  }

  #fail(seq: number, outcome: Outcome & { ok: false }): void {
    this.#stream.write(failedFrame(seq, outcome.code, outcome.text));
  }

  #flushDone(): void {
    if (this.#done.length === 0) return;
    this.#stream.write(doneFrame(this.#done));
    this.#done = [];
  }

  #regulate(): void {
    const { messages, bytes } = PAUSE_ABOVE;
    if (!this.#isPaused && (this.#waiting.size > messages || this.#waitingBytes > bytes)) {
      this.#isPaused = true;
      this.#stream.pause();
    } else if (this.#isPaused && this.#waiting.size <= messages / 2 && this.#waitingBytes <= bytes / 2) {
      this.#isPaused = false;
      this.#stream.resume();
    }
  }
}
