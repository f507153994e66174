// The sending side: finds out who listens, keeps the lane, and carries each message to exactly one outcome.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { integerOption, invalidOption, knownOptions, signalOption, stringOption } from '../base/options.ts';
import { PipeError } from './errors.ts';
import { Exchange, type ExchangeEnds, type ExchangeOptions, throwIfAborted } from './exchange.ts';
import { Expiry } from './expiry.ts';
import { type FailureCode, type GoodbyeCode, MAX_ID_BYTES } from './frames.ts';
import { LaneClient, type LaneClientHost } from './lane-client.ts';
import { meet } from './meeting.ts';
import { type PipePlace, pipePlace } from './names.ts';
import { exchangeAtAddress } from './original-address.ts';
import { exchangeWithOriginal } from './original-client.ts';
import { asBuffer, payloadBytes } from './payload.ts';
import { SequenceTable } from './sequence-table.ts';

/** Options of one `send`. */
export interface SendOptions {
  /**
   * Milliseconds until the send gives up, all attempts together: 0 to 2,147,483,647; 0 means no limit.
   * Default 30,000.
   */
  readonly timeout?: number | undefined;
  /**
   * How often it is tried when nobody listens, or the listener closes before it has taken the message:
   * 0 to 1,000,000; 0 means again and again until `timeout`. Default 1: a name nobody listens on fails at once.
   */
  readonly maxAttempts?: number | undefined;
  /**
   * What makes a message recognisable: the listener processes an id once, also when the sender was killed
   * and a new one sends it again. 1 to 255 bytes of UTF-8. Default: an id that only the retries of this
   * very send share.
   */
  readonly id?: string | undefined;
  /** Gives up when it fires. A message that the listener has not started yet is withdrawn. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a `PipeSender`: where the pipe is, and the defaults of its sends. */
export interface PipeSenderOptions {
  /** The directory that a relative name is in. Default: the working directory. */
  readonly directory?: string | undefined;
  /** `timeout` of the sends that do not say otherwise. */
  readonly timeout?: number | undefined;
  /** `maxAttempts` of the sends that do not say otherwise. */
  readonly maxAttempts?: number | undefined;
}

export const SEND_OPTIONS: readonly string[] = ['timeout', 'maxAttempts', 'id', 'signal'];
const TIMEOUT = { default: 30_000, min: 0, max: 2_147_483_647 };
const ATTEMPTS = { default: 1, min: 0, max: 1_000_000 };
const NO_OPTIONS: SendOptions = {};
const BACKOFF_MS = { first: 5, most: 100 };

/**
 * Sends many messages to one listener over one lane. Several sends may be under way at once; they are
 * processed in the order in which they were sent.
 *
 * @example
 * ```ts
 * await using sender = new PipeSender('jobs');
 * await Promise.all(jobs.map((job) => sender.send(job)));
 * ```
 */
export class PipeSender {
  readonly #place: PipePlace;
  readonly #defaults: ExchangeOptions;
  readonly #id = randomBytes(16).toString('hex');
  readonly #host: LaneClientHost;
  /** Everything that has no outcome yet. */
  readonly #open = new SequenceTable<Exchange>();
  readonly #expiry = new Expiry(() => this.#open.values());
  readonly #onEnd = (exchange: Exchange): void => this.#ended(exchange);
  #lane: LaneClient | undefined;
  #route: Promise<void> | undefined;
  #lastSeq = 0;
  #closing: Promise<void> | undefined;
  #whenEmpty: (() => void) | undefined;

  /**
   * @throws PipeError `USAGE_INVALID_NAME`
   * @throws IPCError `USAGE_INVALID_OPTION`
   */
  constructor(name: string, options: PipeSenderOptions = {}) {
    knownOptions('PipeSender', options, ['directory', 'timeout', 'maxAttempts']);
    this.#place = pipePlace(name, stringOption('directory', options.directory, process.cwd()));
    this.#defaults = {
      timeoutMs: integerOption('timeout', options.timeout, TIMEOUT),
      maxAttempts: integerOption('maxAttempts', options.maxAttempts, ATTEMPTS),
      id: '',
      signal: undefined,
    };
    this.#host = {
      openCount: () => this.#open.size,
      welcomed: (lane) => this.#useLane(lane),
      done: (seq) => this.#done(seq),
      failed: (seq, code, text) => this.#failed(seq, code, text),
      over: (lane, goodbye) => this.#laneOver(lane, goodbye),
    };
  }

  /**
   * Resolves to true when the listener has processed the message and acknowledged it. Bytes must not be
   * changed before that.
   *
   * @throws PipeError `NETWORK_CONNECT_FAILED` nobody listens · `REMOTE_CLOSED` the listener has stopped, the
   * message was not processed · `NETWORK_LOST` the listener was killed, nobody knows whether it was ·
   * `REMOTE_HANDLER_FAILED` its callback threw · `LIMIT_MESSAGE_BYTES` · `TIME_OUT` · `TIME_CANCELLED` ·
   * `NETWORK_PERMISSION` · `NETWORK_PATH_OCCUPIED` the path is no FIFO
   */
  send(message: string | Uint8Array, options: SendOptions = NO_OPTIONS): Promise<true> {
    return new Promise((resolve, reject) => {
      this.#accept(message, options, { resolve, reject });
    });
  }

  /** Waits for the sends that are under way, then closes the lane. Later sends are refused. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    await this.#route;
    const lane = this.#lane;
    this.#lane = undefined;
    this.#expiry.clear();
    await lane?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(message: string | Uint8Array, options: SendOptions, ends: ExchangeEnds): void {
    if (typeof message !== 'string' && !(message instanceof Uint8Array)) {
      throw invalidOption('message', message, 'a text or bytes');
    }
    const resolved = options === NO_OPTIONS ? this.#defaults : this.#resolveOptions(options);
    if (this.#closing !== undefined)
      throw new PipeError('USAGE_CLOSED', 'the sender is closed', { details: { pipe: this.#place.name } });
    const isFirst = this.#open.size === 0;
    // The listener may have ended since the last message without our having read that: look for the next one then.
    if (isFirst && this.#lane?.isWhole() === false) this.#lane.abandon();
    // One that was sent 2^32 messages ago may still be under way.
    do this.#lastSeq = (this.#lastSeq + 1) >>> 0;
    while (this.#open.get(this.#lastSeq) !== undefined);
    const exchange = new Exchange(this.#lastSeq, message, resolved, ends, this.#onEnd);
    this.#open.add(exchange);
    if (isFirst) this.#expiry.setRef(true);
    this.#expiry.watch(exchange);
    if (this.#lane === undefined) this.#startRoute();
    else this.#transmit(this.#lane, exchange);
  }

  #resolveOptions(options: SendOptions): ExchangeOptions {
    knownOptions('send', options, SEND_OPTIONS);
    const signal = signalOption('signal', options.signal);
    throwIfAborted(signal);
    const { timeoutMs, maxAttempts } = this.#defaults;
    return {
      timeoutMs: options.timeout === undefined ? timeoutMs : integerOption('timeout', options.timeout, TIMEOUT),
      maxAttempts:
        options.maxAttempts === undefined ? maxAttempts : integerOption('maxAttempts', options.maxAttempts, ATTEMPTS),
      id: options.id === undefined ? '' : messageId(options.id),
      signal,
    };
  }

  #transmit(lane: LaneClient, exchange: Exchange): void {
    const { message } = exchange;
    if (!lane.takes(message)) {
      const bytes = payloadBytes(message);
      exchange.fail(this.#error('LIMIT_MESSAGE_BYTES', `${bytes} bytes; the listener takes ${lane.maxMessageBytes}`));
      return;
    }
    if (this.#open.size === 1) lane.setRef(true);
    exchange.sentTo = lane.instance;
    lane.send(exchange.seq, exchange.id, message);
  }

  #ended(exchange: Exchange): void {
    this.#open.delete(exchange.seq);
    // It ended without an answer: the listener need not begin with it any more.
    if (exchange.sentTo !== undefined && exchange.sentTo === this.#lane?.instance) this.#lane.cancel(exchange.seq);
    if (this.#open.size > 0) return;
    this.#expiry.setRef(false);
    this.#lane?.setRef(false);
    this.#whenEmpty?.();
  }

  #done(seq: number): void {
    const exchange = this.#open.get(seq);
    if (exchange === undefined) return;
    exchange.sentTo = undefined;
    exchange.succeed();
  }

  #failed(seq: number, code: FailureCode, text: string): void {
    const exchange = this.#open.get(seq);
    if (exchange === undefined) return;
    exchange.sentTo = undefined;
    if (code === 'REMOTE_CLOSED') this.#missed(exchange, code, text);
    else exchange.fail(this.#error(code, text));
  }

  /** An attempt was in vain, and surely nothing was processed. */
  #missed(
    exchange: Exchange,
    code: 'REMOTE_CLOSED' | 'LIMIT_CONNECTIONS' | 'NETWORK_CONNECT_FAILED' | 'PEER_VERSION',
    text: string,
  ): void {
    exchange.attemptsLeft -= 1;
    if (exchange.attemptsLeft <= 0) exchange.fail(this.#error(code, text));
  }

  #laneOver(lane: LaneClient, goodbye: GoodbyeCode | undefined): void {
    if (this.#lane !== lane) return;
    this.#lane = undefined;
    if (goodbye !== undefined) {
      for (const exchange of this.#open.values()) {
        exchange.sentTo = undefined;
        this.#missed(exchange, goodbye, 'the listener has stopped');
      }
    }
    if (this.#open.size > 0) this.#startRoute();
  }

  #startRoute(): void {
    this.#route ??= this.#findRoute().finally(() => {
      this.#route = undefined;
      if (this.#open.size > 0 && this.#lane === undefined) this.#startRoute();
    });
  }

  /** Runs until there is a lane, or nothing is left to send. */
  async #findRoute(): Promise<void> {
    for (let waitMs = BACKOFF_MS.first; this.#open.size > 0; ) {
      try {
        const met = await meet(this.#place, this.#id, this.#host, () => this.#open.size > 0);
        if (met instanceof LaneClient) return;
        const result = met === 'absent' ? await this.#tryOriginal() : met;
        if (result === 'again') continue;
        if (result !== 'later') this.#nobodyThere(result);
      } catch (thrown) {
        for (const exchange of this.#open.values())
          exchange.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
        return;
      }
      if (this.#open.size > 0) await sleep(waitMs);
      waitMs = Math.min(waitMs * 2, BACKOFF_MS.most);
    }
  }

  #useLane(lane: LaneClient): void {
    this.#lane = lane;
    for (const exchange of this.#open.values()) {
      if (exchange.sentTo === undefined || exchange.sentTo === lane.instance) this.#transmit(lane, exchange);
      else exchange.fail(this.#lost());
    }
    lane.setRef(this.#open.size > 0);
  }

  /** One message to a listener of the original package, if there is one. `later`: one of ours is about to let us in. */
  async #tryOriginal(): Promise<'again' | 'later' | 'absent'> {
    const [exchange] = this.#open.values();
    if (exchange === undefined || exchange.sentTo !== undefined) return 'absent';
    try {
      const { signal } = exchange;
      const payload = asBuffer(exchange.message);
      const place = this.#place;
      const result = await (place.kind === 'fifo'
        ? exchangeWithOriginal(place, payload, signal)
        : exchangeAtAddress(place, payload, signal));
      if (result === 'absent') return 'absent';
      if (result === 'ours') return 'later';
      if (result === 'done') exchange.succeed();
    } catch (thrown) {
      exchange.fail(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
    return 'again';
  }

  #nobodyThere(why: 'absent' | GoodbyeCode): void {
    for (const exchange of this.#open.values()) {
      if (exchange.sentTo !== undefined) exchange.fail(this.#lost());
      else if (why === 'absent')
        this.#missed(exchange, 'NETWORK_CONNECT_FAILED', `nobody listens on ${this.#place.data}`);
      else this.#missed(exchange, why, 'the listener takes no more senders');
    }
  }

  #lost(): PipeError {
    return this.#error('NETWORK_LOST', 'the listener was killed; it may have processed the message or not');
  }

  #error(code: ConstructorParameters<typeof PipeError>[0], text: string): PipeError {
    return new PipeError(code, text, { details: { pipe: this.#place.name, path: this.#place.data } });
  }
}

function messageId(id: unknown): string {
  if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > MAX_ID_BYTES) {
    throw invalidOption('id', id, `a text of 1 to ${MAX_ID_BYTES} bytes`);
  }
  return id;
}
