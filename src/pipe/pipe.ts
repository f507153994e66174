// The public listener: a name, a callback, and a life that ends by itself or by `close`.

import { onAbort } from '../base/abort.ts';
import { invalidOption } from '../base/options.ts';
import { toError } from '../base/errors.ts';
import { throwIfAborted } from './exchange.ts';
import { PipeError } from './errors.ts';
import { type Incoming, Inbox } from './inbox.ts';
import { Listener } from './listener.ts';
import { MessageQueue } from './message-queue.ts';
import { type PipePlace, pipePlace } from './names.ts';
import {
  type PipeFormat,
  type PipeMessage,
  type PipeMessageInfo,
  type PipeOptions,
  type PipeStopReason,
  type ResolvedPipeOptions,
  resolvePipeOptions,
} from './pipe-options.ts';
import { PipeSender } from './sender.ts';

/** Processes one message. When it returns, or its promise resolves, the message is acknowledged; when it throws, the sender gets an error. */
export type PipeCallback<F extends PipeFormat = 'text'> = (message: PipeMessage<F>, info: PipeMessageInfo) => unknown;

const RESPONSE = { timeout: 5_000, maxAttempts: 3 };

/**
 * Listens on a named pipe.
 *
 * @example
 * ```ts
 * const pipe = new Pipe('jobs', async (job) => { await run(job); }, { daemon: false });
 * await pipe.listen();
 * await pipe.closed; // after the die code, `maxMessages`, `timeout` or `close()`
 * ```
 *
 * Without a callback it is read as an async iterable; a message is acknowledged when the next one is asked
 * for, and one whose loop ends early is answered with an error, because nobody knows whether it was processed:
 * ```ts
 * for await (const job of new Pipe('jobs')) await run(job);
 * ```
 */
export class Pipe<F extends PipeFormat = 'text'> {
  readonly name: string;
  /** The directory that the name is in. */
  readonly directory: string;
  /** Resolves when the listener has stopped and everything it had is given back, to the reason why. */
  readonly closed: Promise<PipeStopReason>;
  readonly #place: PipePlace;
  readonly #options: ResolvedPipeOptions;
  readonly #queue: MessageQueue<PipeMessage<F>> | undefined;
  readonly #inbox: Inbox;
  readonly #responses: PipeSender | undefined;
  readonly #openResponses = new Set<Promise<void>>();
  #opening: Promise<Listener> | undefined;
  #listener: Listener | undefined;
  #stopped: PipeStopReason | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  /** Takes the pipe off the signal that stops it. */
  #unlisten: (() => void) | undefined;
  #resolveClosed: (reason: PipeStopReason) => void = () => {};

  /**
   * @param callback undefined when the pipe is read as an async iterable
   * @throws PipeError `USAGE_INVALID_NAME`
   * @throws IPCError `USAGE_INVALID_OPTION`
   */
  constructor(name: string, callback?: PipeCallback<F>, options: PipeOptions<F> = {}) {
    if (callback !== undefined && typeof callback !== 'function')
      throw invalidOption('callback', callback, 'a function');
    this.#options = resolvePipeOptions(options);
    this.#place = pipePlace(name, this.#options.directory);
    this.name = name;
    this.directory = this.#options.directory;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#queue = callback === undefined ? new MessageQueue() : undefined;
    const { responsePipeName, directory } = this.#options;
    if (responsePipeName !== undefined) this.#responses = new PipeSender(responsePipeName, { directory, ...RESPONSE });
    this.#inbox = new Inbox({
      ...this.#options,
      handle: (message, incoming) => this.#handle(message, incoming, callback),
      onActivity: () => this.#watchIdleness(),
      onResult: (result) => this.#respond(result),
      onStop: (reason) => this.#shutDown(reason),
    });
  }

  /** Where senders find it: the path of its FIFO; on Windows `\\\\.\\pipe\\` and the name. */
  get path(): string {
    return this.#place.data;
  }

  /** True from `listen` until the listener stops. */
  get isListening(): boolean {
    return this.#listener !== undefined && this.#stopped === undefined;
  }

  /** Messages that were handed to the callback. */
  get messageCount(): number {
    return this.#inbox.started;
  }

  /**
   * Begins to listen. When it resolves, senders find the pipe.
   *
   * @throws PipeError `NETWORK_LISTEN_FAILED` somebody listens there · `NETWORK_PERMISSION` ·
   * `NETWORK_PATH_OCCUPIED` a file of that name is no FIFO · `USAGE_CLOSED`
   * @throws IPCError `SYSTEM_NO_ADDON`
   */
  async listen(): Promise<this> {
    const { signal } = this.#options;
    if (signal?.aborted === true) this.#inbox.stop('aborted');
    throwIfAborted(signal);
    if (this.#stopped !== undefined) throw this.#closedError();
    this.#opening ??= Listener.open(this.#place, this.#options, this.#inbox);
    const listener = await this.#opening.catch((thrown: unknown) => {
      this.#opening = undefined;
      throw thrown;
    });
    if (this.#listener !== undefined) return this;
    this.#listener = listener;
    if (signal !== undefined) this.#unlisten = onAbort(signal, () => this.#inbox.stop('aborted'));
    throwIfAborted(signal);
    if (this.#stopped !== undefined) throw this.#closedError();
    this.#watchIdleness();
    return this;
  }

  /** Stops: messages that wait are refused, those that are being processed are finished and answered. */
  async close(): Promise<void> {
    this.#inbox.stop('closed');
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Listens, and gives the messages one by one until the listener stops. Leaving the loop closes the pipe. */
  async *[Symbol.asyncIterator](): AsyncGenerator<PipeMessage<F>, void, undefined> {
    if (this.#queue === undefined) throw invalidOption('callback', 'given', 'none for a pipe that is iterated');
    await this.listen();
    try {
      yield* this.#queue.messages();
    } finally {
      await this.close();
    }
  }

  #closedError(): PipeError {
    return new PipeError('USAGE_CLOSED', 'the pipe is closed', { details: { pipe: this.name } });
  }

  #handle(message: string | Buffer, { from, id }: Incoming, callback: PipeCallback<F> | undefined): unknown {
    // The inbox decodes by the same `format` that F stands for.
    const typed = message as PipeMessage<F>;
    if (callback === undefined) return this.#queue?.put(typed);
    return callback(typed, { from, id });
  }

  #watchIdleness(): void {
    clearTimeout(this.#idleTimer);
    const { timeoutMs, daemon } = this.#options;
    if (timeoutMs === 0 || this.#listener === undefined || this.#stopped !== undefined || this.#inbox.isBusy) return;
    this.#idleTimer = setTimeout(() => this.#inbox.stop('inactivity'), timeoutMs);
    if (daemon) this.#idleTimer.unref();
  }

  #respond(result: unknown): void {
    const responses = this.#responses;
    if (responses === undefined || result === undefined || result === null) return;
    const sent = (async () => responses.send(asMessage(result)))().then(
      () => {},
      (cause: unknown) => {
        const to = this.#options.responsePipeName;
        this.#report(new PipeError('NETWORK_LOST', `the response to ${to} was not delivered`, { cause }));
      },
    );
    this.#openResponses.add(sent);
    void sent.then(() => this.#openResponses.delete(sent));
  }

  /** What has nobody else to go to. The listener goes on whatever `onError` does. */
  #report(error: Error): void {
    try {
      this.#options.onError(error);
    } catch (thrown) {
      process.emitWarning(toError(thrown));
    }
  }

  #shutDown(reason: PipeStopReason): void {
    this.#stopped = reason;
    clearTimeout(this.#idleTimer);
    this.#unlisten?.();
    this.#queue?.end();
    void this.#release().then(
      () => this.#resolveClosed(reason),
      (thrown: unknown) => {
        this.#report(toError(thrown));
        this.#resolveClosed(reason);
      },
    );
  }

  async #release(): Promise<void> {
    // One that is still being opened is closed as soon as it is open; one that does not open has told its caller.
    const listener = await this.#opening?.catch(() => undefined);
    await listener?.close();
    await Promise.all(this.#openResponses);
    await this.#responses?.close();
  }
}

/** A result of a callback as a message: objects become JSON, and what has no JSON an empty text. */
function asMessage(result: unknown): string | Uint8Array {
  if (typeof result === 'string' || result instanceof Uint8Array) return result;
  if (typeof result === 'number' || typeof result === 'bigint') return `${result}`;
  return JSON.stringify(result) ?? '';
}
