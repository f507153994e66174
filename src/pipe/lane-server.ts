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
import type { Inbox, Outcome } from './inbox.ts';
import type { LaneStream } from './lane-stream.ts';
import { type AnswerLane, Arrival, type SenderRecord, type SenderRecords } from './sender-record.ts';

export interface LaneHost {
  readonly inbox: Inbox;
  /** Tells one life of a listener from the next: only the same one knows which messages it has processed. */
  readonly instance: string;
  readonly maxMessageBytes: number;
  readonly senders: SenderRecords;
  /** Undefined when a further sender may come in, else why not. */
  refusal(): GoodbyeCode | undefined;
  gone(lane: LaneServer): void;
  /** Whether this is the only sender. */
  isAlone(): boolean;
}

/** What one sender may have waiting before we stop reading from it. */
const PAUSE_ABOVE = { messages: 1_024, bytes: 4 * 1024 * 1024 };
const FAREWELL_GRACE_MS = 1_000;
/** So many acknowledgements go out before the turn ends: their sender goes on while we process what is left. */
const MOST_DONE_WAITING = 64;

export class LaneServer implements AnswerLane {
  readonly #host: LaneHost;
  readonly #stream: LaneStream;
  readonly #decoder: FrameDecoder;
  #isPaused = false;
  #senderId = '';
  #sender: SenderRecord | undefined;
  #done: number[] = [];

  constructor(host: LaneHost, stream: LaneStream) {
    this.#host = host;
    this.#stream = stream;
    this.#decoder = new FrameDecoder(host.maxMessageBytes, (frame) => this.#receive(frame));
    stream.start({
      data: (chunk) => this.#push(chunk),
      end: () => this.#leave(),
      expects: () => this.#sender?.waitingCount === 0 && host.isAlone(),
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
      this.replaced();
    }
  }

  replaced(): void {
    this.#stream.destroy();
    this.#leave();
  }

  #leave(): void {
    this.#host.gone(this);
    if (this.#sender === undefined) return;
    this.#sender.leaveLane(this);
    this.#host.senders.leave(this.#senderId, this.#sender);
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
        this.answer(frame.seq, {
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
    if (this.#sender !== undefined) throw new Error('a second hello');
    const refusal = version === VERSION ? this.#host.refusal() : 'PEER_VERSION';
    if (refusal !== undefined) {
      void this.farewell(refusal).then(() => this.#host.gone(this));
      return;
    }
    this.#senderId = sender;
    this.#sender = this.#host.senders.enter(sender);
    this.#sender.useLane(this);
    this.#stream.write(welcomeFrame(this.#host.instance, this.#host.maxMessageBytes));
  }

  #offer({ seq, isText, id, payload }: Frame & { type: 'message' }): void {
    const sender = this.#sender;
    if (sender === undefined) throw new Error('a message before the hello');
    if (sender.acknowledged.has(seq)) {
      this.answer(seq, { ok: true });
      return;
    }
    // It came on the lane before this one, too, and is answered here.
    if (sender.waiting(seq) !== undefined) return;
    const arrival = new Arrival(sender, seq, isText, id, payload);
    this.#host.inbox.offer(arrival);
    if (arrival.isAnswered) return;
    sender.keep(arrival);
    this.#regulate();
  }

  answer(seq: number, outcome: Outcome): void {
    if (!outcome.ok) {
      this.#stream.write(failedFrame(seq, outcome.code, outcome.text));
    } else {
      const count = this.#done.push(seq);
      if (count === 1) process.nextTick(() => this.#flushDone());
      if (count === MOST_DONE_WAITING) {
        this.#flushDone();
        this.#stream.flush();
      }
    }
    if (this.#isPaused) this.#regulate();
  }

  #cancel(seq: number): void {
    const arrival = this.#sender?.waiting(seq);
    if (arrival === undefined || !this.#host.inbox.withdraw(arrival)) return;
    this.#sender?.drop(arrival);
    this.#regulate();
  }

  #flushDone(): void {
    if (this.#done.length === 0) return;
    this.#stream.write(doneFrame(this.#done));
    this.#done = [];
  }

  #regulate(): void {
    const { messages, bytes } = PAUSE_ABOVE;
    const { waitingCount = 0, waitingBytes = 0 } = this.#sender ?? {};
    if (!this.#isPaused && (waitingCount > messages || waitingBytes > bytes)) {
      this.#isPaused = true;
      this.#stream.pause();
    } else if (this.#isPaused && waitingCount <= messages / 2 && waitingBytes <= bytes / 2) {
      this.#isPaused = false;
      this.#stream.resume();
    }
  }
}
