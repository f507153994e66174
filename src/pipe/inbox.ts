// The order in which a listener takes messages: one after the other (or `concurrency` at a time), each id
// once, until the die code, `maxMessages` or `stop`. No I/O: messages come in as arguments, outcomes go
// out through the callback that came with the message.

import { isUtf8 } from 'node:buffer';
import { toError } from '../base/errors.ts';
import type { FailureCode } from './frames.ts';

/** Who sent: a sender of ours, or one that speaks the format of the original package. */
export type PipePeer = 'isthmus' | 'pipecom';

export interface Incoming {
  /** What makes a retry recognisable. Undefined: nobody can retry it. */
  readonly id: string | undefined;
  readonly payload: Buffer;
  readonly isText: boolean;
  readonly from: PipePeer;
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: FailureCode; readonly text: string };

export type Answer = (outcome: Outcome) => void;

export type StopReason = 'die-code' | 'max-messages' | 'inactivity' | 'closed' | 'aborted';

export interface InboxOptions {
  readonly handle: (message: string | Buffer, incoming: Incoming) => unknown;
  readonly format: 'text' | 'bytes' | 'either';
  readonly concurrency: number;
  /** 0: no limit. */
  readonly maxMessages: number;
  /** Undefined: no message ends the listener. */
  readonly dieCode: string | undefined;
  readonly rememberedIds: number;
  /** Called after each message that came and each that was finished. */
  readonly onActivity: () => void;
  /** A message was processed; called once for it, after its sender was answered. */
  readonly onResult: (result: unknown) => void;
  readonly onStop: (reason: StopReason) => void;
}

interface Entry {
  readonly incoming: Incoming;
  readonly answers: Answer[];
}

const PROCESSED: Outcome = { ok: true };
const STOPPED: Outcome = { ok: false, code: 'REMOTE_CLOSED', text: 'the listener has stopped' };

export class Inbox {
  readonly #options: InboxOptions;
  readonly #dieCode: Buffer | undefined;
  #queue: Entry[] = [];
  readonly #open = new Map<string, Entry>();
  readonly #acknowledged = new Set<string>();
  /** Goes along behind: each walk from the start would step over everything that was forgotten before. */
  readonly #oldestFirst = this.#acknowledged.values();
  #running = 0;
  #started = 0;
  #stopped: StopReason | undefined;
  #isPumping = false;
  #idleWaiters: (() => void)[] = [];

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#dieCode = options.dieCode === undefined ? undefined : Buffer.from(options.dieCode);
  }

  /** Messages that were handed to the callback. */
  get started(): number {
    return this.#started;
  }

  get isBusy(): boolean {
    return this.#running > 0 || this.#queue.length > 0;
  }

  /** Takes a message; `answer` is called once, perhaps before this returns. */
  offer(incoming: Incoming, answer: Answer): void {
    const { id } = incoming;
    if (id !== undefined && this.#acknowledged.has(id)) {
      answer(PROCESSED);
      return;
    }
    const open = id === undefined ? undefined : this.#open.get(id);
    if (open !== undefined) {
      open.answers.push(answer);
      return;
    }
    if (this.#stopped !== undefined) {
      answer(STOPPED);
      return;
    }
    const entry: Entry = { incoming, answers: [answer] };
    if (id !== undefined) this.#open.set(id, entry);
    this.#queue.push(entry);
    this.#options.onActivity();
    this.#pump();
  }

  /** Nobody wants the answer any more: a message that has not been started is dropped. True when it was. */
  withdraw(answer: Answer): boolean {
    for (const [index, entry] of this.#queue.entries()) {
      const at = entry.answers.indexOf(answer);
      if (at < 0) continue;
      entry.answers.splice(at, 1);
      if (entry.answers.length === 0) {
        this.#queue.splice(index, 1);
        this.#forget(entry);
      }
      return true;
    }
    return false;
  }

  /** No message is started any more; those that wait are refused. The first reason stays. */
  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    const refused = this.#queue;
    this.#queue = [];
    for (const entry of refused) this.#answer(entry, STOPPED);
    this.#options.onStop(reason);
  }

  /** Resolves when no callback runs. */
  whenIdle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#running < this.#options.concurrency && this.#stopped === undefined) {
      const entry = this.#queue.shift();
      if (entry === undefined) break;
      this.#start(entry);
    }
    this.#isPumping = false;
  }

  #start(entry: Entry): void {
    const { incoming } = entry;
    if (this.#dieCode !== undefined && this.#dieCode.equals(incoming.payload)) {
      this.#acknowledge(entry);
      this.stop('die-code');
      return;
    }
    const message = this.#decode(incoming);
    if (message === undefined) {
      this.#answer(entry, {
        ok: false,
        code: 'USAGE_INVALID_PAYLOAD',
        text: 'the listener takes text, and this is no UTF-8',
      });
      return;
    }
    this.#running += 1;
    this.#started += 1;
    if (this.#started === this.#options.maxMessages) this.stop('max-messages');
    this.#call(entry, message);
  }

  #call(entry: Entry, message: string | Buffer): void {
    let result: unknown;
    try {
      result = this.#options.handle(message, entry.incoming);
    } catch (thrown) {
      this.#fail(entry, thrown);
      return;
    }
    if (!isThenable(result)) {
      this.#succeed(entry, result);
      return;
    }
    void Promise.resolve(result).then(
      (value) => this.#succeed(entry, value),
      (thrown: unknown) => this.#fail(entry, thrown),
    );
  }

  #succeed(entry: Entry, result: unknown): void {
    this.#acknowledge(entry);
    this.#options.onResult(result);
    this.#finish();
  }

  #fail(entry: Entry, thrown: unknown): void {
    this.#answer(entry, { ok: false, code: 'REMOTE_HANDLER_FAILED', text: toError(thrown).message });
    this.#finish();
  }

  #finish(): void {
    this.#running -= 1;
    this.#options.onActivity();
    if (this.#running === 0) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const resolve of waiters) resolve();
    }
    this.#pump();
  }

  /** A failed id is not remembered: whoever sends it again wants it to be tried again. */
  #acknowledge(entry: Entry): void {
    const { id } = entry.incoming;
    if (id !== undefined && this.#options.rememberedIds > 0) {
      this.#acknowledged.add(id);
      if (this.#acknowledged.size > this.#options.rememberedIds) {
        const oldest = this.#oldestFirst.next();
        if (oldest.done !== true) this.#acknowledged.delete(oldest.value);
      }
    }
    this.#answer(entry, PROCESSED);
  }

  #answer(entry: Entry, outcome: Outcome): void {
    this.#forget(entry);
    for (const answer of entry.answers) answer(outcome);
  }

  #forget(entry: Entry): void {
    if (entry.incoming.id !== undefined) this.#open.delete(entry.incoming.id);
  }

  #decode({ payload, isText }: Incoming): string | Buffer | undefined {
    switch (this.#options.format) {
      case 'bytes':
        return payload;
      case 'either':
        return isText ? payload.toString('utf8') : payload;
      case 'text':
        return isText || isUtf8(payload) ? payload.toString('utf8') : undefined;
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
