// The sender's end of one lane: messages out, acknowledgements in.

import {
  cancelFrame,
  type FailureCode,
  type Frame,
  FrameDecoder,
  type GoodbyeCode,
  helloFrame,
  isSmall,
  messageHead,
  mostMessageBytes,
  VERSION,
  writeMessage,
} from './frames.ts';
import type { LaneStream } from './lane-stream.ts';
import { asBuffer, payloadBytes } from './payload.ts';

export interface LaneClientHost {
  /** Messages without an answer. */
  readonly openCount: () => number;
  welcomed(lane: LaneClient): void;
  done(seq: number): void;
  failed(seq: number, code: FailureCode, text: string): void;
  /**
   * The lane is over. With a goodbye, what was not answered was not processed either; without one, the
   * listener was killed and nobody knows. Called once.
   */
  over(lane: LaneClient, goodbye: GoodbyeCode | undefined): void;
}

/** Answers are small; a listener that announces more is not one of ours. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const END_GRACE_MS = 1_000;

export class LaneClient {
  readonly #host: LaneClientHost;
  readonly #stream: LaneStream;
  readonly #decoder = new FrameDecoder(MAX_ANSWER_BYTES, (frame) => this.#receive(frame));
  #goodbye: GoodbyeCode | undefined;
  #isOver = false;
  /** Which life of which listener this is. Empty before the welcome. */
  instance = '';
  maxMessageBytes = 0;

  constructor(stream: LaneStream, senderId: string, host: LaneClientHost) {
    this.#host = host;
    this.#stream = stream;
    stream.start({
      data: (chunk) => this.#push(chunk),
      end: () => this.#finish(),
      expects: () => host.openCount() === 1,
    });
    stream.write(helloFrame(senderId));
  }

  send(seq: number, id: string, message: string | Uint8Array): void {
    if (isSmall(message)) {
      const batch = this.#stream.reserve(mostMessageBytes(id, message));
      batch.end = writeMessage(batch.buffer, batch.end, seq, id, message);
      return;
    }
    const payload = asBuffer(message);
    this.#stream.write(messageHead(seq, typeof message === 'string', id, payload.length));
    this.#stream.write(payload);
  }

  /** Whether the listener takes it. */
  takes(message: string | Uint8Array): boolean {
    // Usually the number of its units says it.
    return message.length * 3 <= this.maxMessageBytes || payloadBytes(message) <= this.maxMessageBytes;
  }

  cancel(seq: number): void {
    this.#stream.write(cancelFrame(seq));
  }

  /** Whether somebody is there to read what is sent next. */
  isWhole(): boolean {
    return this.#stream.isWhole();
  }

  setRef(on: boolean): void {
    this.#stream.setRef(on);
  }

  /** Closes without a word to the host. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#stream.end(END_GRACE_MS);
  }

  /** Gives the lane up and tells the host. */
  abandon(): void {
    this.#stream.destroy();
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.over(this, this.#goodbye);
  }

  #push(chunk: Buffer): void {
    try {
      this.#decoder.push(chunk);
    } catch {
      this.abandon();
    }
  }

  #receive(frame: Frame): void {
    switch (frame.type) {
      case 'welcome':
        if (frame.version !== VERSION) throw new Error(`version ${frame.version}`);
        this.instance = frame.instance;
        this.maxMessageBytes = frame.maxMessageBytes;
        this.#host.welcomed(this);
        return;
      case 'done':
        for (const seq of frame.seqs) this.#host.done(seq);
        return;
      case 'failed':
        this.#host.failed(frame.seq, frame.code, frame.text);
        return;
      case 'goodbye':
        this.#goodbye = frame.code;
        this.abandon();
        return;
      default:
        throw new Error(`a ${frame.type} frame from a listener`);
    }
  }
}
