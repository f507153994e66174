// The order in which a listener takes messages: one after the other (or `concurrency` at a time), each id
// once, until the die code, `maxMessages` or `stop`. No I/O: messages come in as arguments, outcomes go
// out through the callback that came with the message.

import { isUtf8 } from 'node:buffer';
import { toError } from '../base/errors.ts';
import type { FailureCode } from './frames.ts';

/** Who sent: a sender of ours, or one that speaks the format of the original package. */
export type PipePeer = 'isthmus' | 'pipecom';

export interface Incoming {
  /** What its sender calls it, so that it is recognised when it comes again; undefined when it has no name. */
  readonly id: string | undefined;
  readonly payload: Buffer;
  readonly isText: boolean;
  readonly from: PipePeer;
  /** Called once, perhaps before `offer` returns. */
  answer(outcome: Outcome): void;
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: FailureCode; readonly text: string };

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

const PROCESSED: Outcome = { ok: true };
const STOPPED: Outcome = { ok: false, code: 'REMOTE_CLOSED', text: 'the listener has stopped' };

export class Inbox {
  readonly #options: InboxOptions;
  readonly #dieCode: Buffer | undefined;
  #queue: Incoming[] = [];
  /** By its id, the message that waits or is processed, and behind it others with the same id. */
  readonly #open = new Map<string, Incoming[]>();
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

  offer(incoming: Incoming): void {
    const { id } = incoming;
    if (id !== undefined && this.#acknowledged.has(id)) {
      incoming.answer(PROCESSED);
      return;
    }
    const open = id === undefined ? undefined : this.#open.get(id);
    if (open !== undefined) {
      open.push(incoming);
      return;
    }
    if (this.#stopped !== undefined) {
      incoming.answer(STOPPED);
      return;
    }
    if (id !== undefined) this.#open.set(id, [incoming]);
    this.#queue.push(incoming);
    this.#options.onActivity();
    this.#pump();
  }

  /** Nobody wants the answer any more: a message that has not been started is dropped. True when it was. */
  withdraw(incoming: Incoming): boolean {
    const { id } = incoming;
    const same = (id === undefined ? undefined : this.#open.get(id)) ?? [incoming];
    const [first = incoming] = same;
    const place = this.#queue.indexOf(first);
    const at = same.indexOf(incoming);
    if (place < 0 || at < 0) return false;
    same.splice(at, 1);
    const [next] = same;
    if (next !== undefined) {
      this.#queue[place] = next;
    } else {
      this.#queue.splice(place, 1);
      if (id !== undefined) this.#open.delete(id);
    }
    return true;
  }

  /** No message is started any more; those that wait are refused. The first reason stays. */
  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    const refused = this.#queue;
    this.#queue = [];
    for (const incoming of refused) this.#answer(incoming, STOPPED);
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
      const incoming = this.#queue.shift();
      if (incoming === undefined) break;
      this.#start(incoming);
    }
    this.#isPumping = false;
  }

  #start(incoming: Incoming): void {
    if (this.#isDieCode(incoming.payload)) {
      this.#acknowledge(incoming);
      this.stop('die-code');
      return;
    }
    const message = this.#decode(incoming);
    if (message === undefined) {
      this.#answer(incoming, {
        ok: false,
        code: 'USAGE_INVALID_PAYLOAD',
        text: 'the listener takes text, and this is no UTF-8',
      });
      return;
    }
    this.#running += 1;
    this.#started += 1;
    if (this.#started === this.#options.maxMessages) this.stop('max-messages');
    this.#call(incoming, message);
  }

  #call(incoming: Incoming, message: string | Buffer): void {
    let result: unknown;
    try {
      result = this.#options.handle(message, incoming);
    } catch (thrown) {
      this.#fail(incoming, thrown);
      return;
    }
    if (!isThenable(result)) {
      this.#succeed(incoming, result);
      return;
    }
    void Promise.resolve(result).then(
      (value) => this.#succeed(incoming, value),
      (thrown: unknown) => this.#fail(incoming, thrown),
    );
  }

  #succeed(incoming: Incoming, result: unknown): void {
    this.#acknowledge(incoming);
    this.#options.onResult(result);
    this.#finish();
  }

  #fail(incoming: Incoming, thrown: unknown): void {
    this.#answer(incoming, { ok: false, code: 'REMOTE_HANDLER_FAILED', text: toError(thrown).message });
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
  #acknowledge(incoming: Incoming): void {
    const { id } = incoming;
    if (id !== undefined && this.#options.rememberedIds > 0) {
      this.#acknowledged.add(id);
      if (this.#acknowledged.size > this.#options.rememberedIds) {
        const oldest = this.#oldestFirst.next();
        if (oldest.done !== true) this.#acknowledged.delete(oldest.value);
      }
    }
    this.#answer(incoming, PROCESSED);
  }

  #answer(incoming: Incoming, outcome: Outcome): void {
    const { id } = incoming;
    const same = id === undefined ? undefined : this.#open.get(id);
    if (id === undefined || same === undefined) {
      incoming.answer(outcome);
      return;
    }
    this.#open.delete(id);
    for (const one of same) one.answer(outcome);
  }

  #isDieCode(payload: Buffer): boolean {
    const dieCode = this.#dieCode;
    // The length first: nearly every message is told by it.
    return dieCode !== undefined && dieCode.length === payload.length && dieCode.equals(payload);
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
