// One subscription: what it has received and not dealt with, and the credit that it gives for the rest.
// It outlives its connection: after a reconnect the same object is subscribed again.

import { onAbort } from '../base/abort.ts';
import { ipcError, type IPCError, toError } from '../base/errors.ts';
import type { Contract } from '../protocol/contract.ts';
import type { Message } from '../protocol/messages.ts';
import type { OutboxPolicy } from '../protocol/policies.ts';
import { ReceiveCredit } from '../session/credit.ts';
import { type Disposer, isThenable, Listeners } from './listeners.ts';

/** Called for each message, in order. What it returns may be a promise: the message counts as done when it settles. */
export type MessageHandler<T = unknown> = (message: Message<T>) => unknown;

/** Options of a subscription. */
export interface SubscribeOptions {
  /** What the server does when this subscriber is too slow and its outbox is full. Default: the channel's, `'block'`. */
  readonly policy?: OutboxPolicy;
  /** Bytes that the server keeps for this subscriber before the policy decides. Default: the server's. */
  readonly outboxBytesMax?: number;
  /** Bytes that may be under way or not dealt with here. 1 KiB to 1 GiB. Default 4 MiB. */
  readonly creditBytes?: number;
  /** Begin with the kept last values of the channels. Default true. */
  readonly retained?: boolean;
  /** Unsubscribes when it fires. */
  readonly signal?: AbortSignal;
}

/** The part of a connection that a subscription speaks to. */
export interface SubscriptionLink {
  grantSubscription(id: number, bytes: number): void;
}

/** What a subscription asks of its client. */
export interface SubscriptionOwner {
  readonly contract: Contract<unknown> | undefined;
  unsubscribe(subscription: Subscription): Promise<void>;
  handlerFailed(error: Error, channel: string): void;
}

interface Waiting<T> {
  readonly resolve: (result: IteratorResult<Message<T>, undefined>) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A subscription to a channel or a pattern. With a handler, messages go there; without one, they are
 * taken by iterating. Ends with `unsubscribe()`, `await using`, or by leaving the loop.
 *
 * @example
 * ```ts
 * for await (const message of await client.subscribe('orders.*')) console.log(message.channelId, message.payload);
 * ```
 */
export class Subscription<T = unknown> implements AsyncIterableIterator<Message<T>, undefined>, AsyncDisposable {
  /** The channel or pattern. */
  readonly pattern: string;
  /** What the server is told with every SUBSCRIBE. */
  readonly fields: object;
  /** Bytes that may be under way or not dealt with here. */
  readonly creditBytes: number;
  /** Number on the present connection; 0 while there is none. */
  id = 0;
  readonly #owner: SubscriptionOwner;
  readonly #handler: MessageHandler<T> | undefined;
  readonly #onLost = new Listeners<[count: number, cause: string]>((thrown) => this.#failed(thrown, this.pattern));
  #link: SubscriptionLink | undefined;
  #credit: ReceiveCredit;
  /** Bytes received and not dealt with. */
  #heldBytes = 0;
  #queue: { readonly message: Message<T>; readonly bytes: number }[] = [];
  #head = 0;
  #waiting: Waiting<T>[] = [];
  #lost = 0;
  #received = 0;
  #ended = false;
  #error: IPCError | undefined;
  /** Called when it is over. */
  #atEnd: (() => void)[] = [];

  /** Made by `client.subscribe`. */
  constructor(
    owner: SubscriptionOwner,
    pattern: string,
    fields: object,
    creditBytes: number,
    handler: MessageHandler<T> | undefined,
  ) {
    this.#owner = owner;
    this.pattern = pattern;
    this.fields = fields;
    this.creditBytes = creditBytes;
    this.#handler = handler;
    this.#credit = new ReceiveCredit(creditBytes);
  }

  /** Messages that the server dropped, by the policy, since the subscription began. */
  get lost(): number {
    return this.#lost;
  }

  /** Messages that arrived. */
  get received(): number {
    return this.#received;
  }

  /** Messages that wait to be taken by iterating. */
  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** False once it was unsubscribed or refused. */
  get active(): boolean {
    return !this.#ended;
  }

  /** Calls `listener` whenever the server has dropped messages; gives what takes it out again. */
  onLost(listener: (count: number, cause: string) => void): Disposer {
    return this.#onLost.add(listener);
  }

  /** Ends it. Resolves once the server has confirmed; at once when there is no connection. */
  unsubscribe(): Promise<void> {
    return this.#owner.unsubscribe(this as Subscription);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.unsubscribe();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next message; `done` once unsubscribed. Throws what ended the subscription, if it was an error. */
  next(): Promise<IteratorResult<Message<T>, undefined>> {
    if (this.#handler !== undefined) {
      return Promise.reject(
        ipcError(
          'USAGE_INVALID_OPTION',
          `the subscription to '${this.pattern}' has a handler: it cannot be iterated as well`,
        ),
      );
    }
    const item = this.#queue[this.#head];
    if (item !== undefined) {
      this.#advance();
      this.consumed(item.bytes);
      return Promise.resolve({ done: false, value: item.message });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Leaving a `for await` loop unsubscribes. */
  async return(): Promise<IteratorResult<Message<T>, undefined>> {
    await this.unsubscribe();
    return { done: true, value: undefined };
  }

  /** A new connection; gives the credit to begin with. What is still held here counts against it. */
  attach(link: SubscriptionLink, id: number): number {
    this.#link = link;
    this.id = id;
    this.#credit = new ReceiveCredit(this.creditBytes);
    this.#credit.receive(this.#heldBytes);
    return Math.max(1, this.creditBytes - this.#heldBytes);
  }

  /** Unsubscribes when the signal fires; nothing is left on it once the subscription has ended. */
  endOn(signal: AbortSignal): void {
    this.whenEnded(onAbort(signal, () => void this.unsubscribe().catch(() => {})));
  }

  /** @internal Calls `run` when it is over, or now when it is. */
  whenEnded(run: () => void): void {
    if (this.#ended) run();
    else this.#atEnd.push(run);
  }

  /** @internal The connection has gone. */
  detach(): void {
    this.#link = undefined;
    this.id = 0;
  }

  /** A message has arrived, `bytes` of credit. False when the sender had no credit for it. */
  deliver(message: Message<T>, bytes: number): boolean {
    const legal = this.#credit.receive(bytes);
    this.#received += 1;
    if (this.#owner.contract !== undefined && !this.#fits(this.#owner.contract, message)) {
      this.#heldBytes += bytes;
      this.consumed(bytes);
      return legal;
    }
    this.#heldBytes += bytes;
    if (this.#handler !== undefined) this.#handle(this.#handler, message, bytes);
    else this.#enqueue(message, bytes);
    return legal;
  }

  /** Messages were dropped on the way. */
  missed(count: number, cause: string): void {
    this.#lost += count;
    this.#onLost.emit(count, cause);
  }

  /** It is over: what waits can still be taken, then iterating ends, or throws when there is an error. */
  end(error?: IPCError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const run of this.#atEnd.splice(0)) run();
    this.detach();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      if (error === undefined) one.resolve({ done: true, value: undefined });
      else one.reject(error);
    }
  }

  /** A message was dealt with. */
  consumed(bytes: number): void {
    this.#heldBytes -= bytes;
    const grant = this.#credit.consume(bytes);
    if (grant > 0) this.#link?.grantSubscription(this.id, grant);
  }

  /** A message that does not fit its schema is dropped, and told. */
  #fits(contract: Contract<unknown>, message: Message<T>): boolean {
    try {
      message.acceptPayload((payload) => contract.readReceived('event', message.channelId, payload));
      return true;
    } catch (thrown) {
      this.#failed(thrown, message.channelId);
      return false;
    }
  }

  #handle(handler: MessageHandler<T>, message: Message<T>, bytes: number): void {
    let result: unknown;
    try {
      result = handler(message);
    } catch (thrown) {
      this.#failed(thrown, message.channelId);
    }
    if (!isThenable(result)) {
      this.consumed(bytes);
      return;
    }
    result.then(
      () => this.consumed(bytes),
      (thrown: unknown) => {
        this.consumed(bytes);
        this.#failed(thrown, message.channelId);
      },
    );
  }

  #enqueue(message: Message<T>, bytes: number): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) {
      this.#queue.push({ message, bytes });
      return;
    }
    waiting.resolve({ done: false, value: message });
    this.consumed(bytes);
  }

  #advance(): void {
    this.#head += 1;
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #failed(thrown: unknown, channel: string): void {
    this.#owner.handlerFailed(toError(thrown), channel);
  }
}
