// Which channel numbers of the server a client knows the names of. It holds a bounded number of them, and is
// asked to forget them all before there are more.

import type { FrameWriter } from '../session/frame-writer.ts';
import type { Session } from '../session/session.ts';

/** Names that the client may be told before it is asked to forget them all; it holds 10,000. */
const TOLD_MAX = 5000;
/** So many while large bodies are on their way, which name their channels by number. */
const TOLD_WHILE_CUTTING_MAX = 9000;

export class ToldNames {
  readonly #session: Session;
  readonly #writer: FrameWriter;
  #numbers = new Set<number>();

  constructor(session: Session, writer: FrameWriter) {
    this.#session = session;
    this.#writer = writer;
  }

  /** Tells the client once what a number stands for. */
  tell(number: number, name: string): void {
    if (this.#numbers.has(number)) return;
    const { size } = this.#numbers;
    if (size >= TOLD_MAX && (!this.#writer.cutting || size >= TOLD_WHILE_CUTTING_MAX)) {
      this.#writer.cutAll();
      this.#session.forgetDeclared();
      this.#numbers = new Set();
    }
    this.#numbers.add(number);
    this.#session.declare(number, name);
  }
}
