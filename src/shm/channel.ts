// IPCChannel: a handle on a shared-memory channel, the class that users meet.

import { EventEmitter } from 'node:events';
import { IPCError, toError } from '../base/errors.ts';
import { booleanOption, functionOption, knownOptions } from '../base/options.ts';
import { allToBytes, checkPlace, countOption, type Sendable, toBytes, waitOf } from './arguments.ts';
import {
  checkMode,
  checkType,
  type ChannelType,
  ConnMode,
  encodeName,
  MAX_MESSAGE_BYTES,
  resolveOptions,
  type ResolvedOptions,
  type ShmChannelOptions,
  type ShmWaitOptions,
} from './options.ts';
import { Messages } from './messages.ts';
import type { Peer } from './presence.ts';
import type { HandlerOptions, MessageHandler } from './receiver.ts';
import { ShmSession } from './session.ts';
import { checked, closedError, shmError, STATUS, timeoutError } from './status.ts';
import { copied, COPIED_VIEW_BYTES, Loan, type MessageView } from './view.ts';

/** What can happen to a handle, with what listeners are given. */
export interface ShmChannelEvents {
  /** So many messages were dropped for this receiver, before the message of this number. */
  missed: [count: number, sequence: number];
  /** This receiver was evicted while a handler wanted messages. */
  evicted: [];
  /** A handler's channel broke. */
  error: [error: Error];
  /**
   * A handle has joined the channel. Others are looked at when something changes: one that comes and is gone again
   * before this process gets to look is not told, neither here nor in `leave` or `death`.
   */
  join: [peer: Peer];
  /** A handle has left. */
  leave: [peer: Peer];
  /** A process has died without leaving. */
  death: [peer: Peer];
}

const PRESENCE_EVENTS = new Set<unknown>(['join', 'leave', 'death']);

/**
 * A handle on a shared-memory channel. It is connected when it has been made. Every thread makes its own.
 * The mode is made of the flags of `ConnMode`, added up; default: both.
 *
 * Order: all receivers get the messages of all senders in one and the same order, each from the moment it
 * joined; the messages of one handle come in the order in which it sent them.
 *
 * @throws IPCError from the constructor and `connect`: `SYSTEM_NO_ADDON`, `SYSTEM_SHM_SPACE`, `SYSTEM_SHM_FOREIGN`,
 * `USAGE_CHANNEL_MISMATCH`, `USAGE_NO_CHANNEL`, `LIMIT_PRODUCERS`, `LIMIT_PEERS`, `LIMIT_FILES`,
 * `PEER_CORRUPT_REGION`, `USAGE_INVALID_OPTION`, `USAGE_INVALID_NAME`, `TIME_OUT` when a stopped process held the lock for 5 s, which the thread waited for.
 *
 * @example
 * ```ts
 * const prices = new IPCChannel(ChannelType.ROUTE, 'prices', ConnMode.RECEIVER);
 * for await (const message of prices) console.log(message.toString());
 * ```
 */
export class IPCChannel extends EventEmitter<ShmChannelEvents> {
  readonly name: string;
  /** Whether one or many may send. */
  readonly type: ChannelType;
  #mode: ConnMode;
  readonly #options: ResolvedOptions;
  #session: ShmSession | undefined;
  #closed = false;

  constructor(type: ChannelType, name: string, mode: number = ConnMode.BOTH, options: ShmChannelOptions = {}) {
    super();
    this.type = checked('open', () => checkType(type));
    checked('open', () => encodeName(name));
    this.name = name;
    this.#mode = checked('open', () => checkMode(mode));
    this.#options = checked('open', () => resolveOptions(options));
    (this as EventEmitter).on('newListener', (event: unknown) => {
      if (PRESENCE_EVENTS.has(event)) this.#session?.presence.watch();
    });
    this.connect();
  }

  /** Whether this handle sends, receives, or both. */
  get mode(): ConnMode {
    return this.#mode;
  }
  /** Whether it takes part in the channel. */
  get isConnected(): boolean {
    return this.#session !== undefined;
  }
  /** Whether it was closed for good. */
  get isClosed(): boolean {
    return this.#closed;
  }
  /** Bytes of the ring. */
  get capacityBytes(): number {
    return this.#use('open').ring.info.capacity;
  }
  /** How many messages were dropped for this receiver since it joined. */
  get missedCount(): number {
    return this.#session?.optionalReceiver?.missedTotal ?? 0;
  }

  /** Joins again after `disconnect`, or with another mode. Nothing happens when it is connected that way already. */
  connect(flags: number = this.#mode): void {
    if (this.#closed) throw closedError('open', this.name);
    const mode = checked('open', () => checkMode(flags));
    if (this.#session && mode === this.#mode) return;
    this.disconnect();
    const session = new ShmSession(this.name, this.type, mode, this.#options);
    this.#mode = mode;
    this.#session = session;
    session.presence.onEvent = (event, peer) => this.emit(event, peer);
    const receiver = session.optionalReceiver;
    if (receiver) {
      receiver.onMissed = (count, sequence) => this.emit('missed', count, sequence);
      receiver.onFailure = (error) => this.#failed(error);
    }
    if ((this.eventNames() as unknown[]).some((name) => PRESENCE_EVENTS.has(name))) session.presence.watch();
  }

  #failed(error: Error): void {
    if (error instanceof IPCError && error.code === 'LIMIT_EVICTED') this.emit('evicted');
    else this.emit('error', error);
  }

  /** Leaves the channel; what waits is rejected with `USAGE_CLOSED`. `connect` joins again. */
  disconnect(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.close();
  }

  /** Leaves for good. Idempotent. */
  close(): void {
    this.#closed = true;
    this.disconnect();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #use(activity: 'open' | 'send' | 'receive'): ShmSession {
    if (this.#session) return this.#session;
    if (this.#closed) throw closedError(activity, this.name);
    throw shmError(activity, 'USAGE_NOT_CONNECTED', `channel '${this.name}' is disconnected`);
  }

  // --- sending -----------------------------------------------------------------------------------

  /**
   * Sends, waiting while the slowest receiver is a ring behind (on channels that block). Do not change the
   * bytes before the promise is resolved. A message that nobody receives is sent all the same.
   *
   * @throws IPCError `TIME_OUT`, `TIME_CANCELLED`, `LIMIT_MESSAGE_BYTES` (over 1 GiB), `USAGE_WRONG_MODE`, `USAGE_CLOSED`.
   */
  send(data: Sendable, wait?: ShmWaitOptions | number): Promise<void> {
    try {
      const bytes = toBytes(data);
      const resolved = waitOf('send', wait);
      return this.#use('send').sender.send(bytes, resolved);
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /**
   * One attempt: false when there is no room for all of it now. With a time-out it blocks the thread, as in libipc.
   *
   * @throws IPCError `LIMIT_MESSAGE_BYTES`, whose `details.maxBytes` says how much fits: about half of the ring.
   */
  trySend(data: Sendable, timeoutMs = 0): boolean {
    const bytes = toBytes(data);
    if (timeoutMs === 0) return this.#use('send').sender.trySend(bytes);
    const wait = waitOf('send', timeoutMs);
    const { sender } = this.#use('send');
    return falseOnTimeout(() => sender.sendSync(bytes, wait.timeoutMs));
  }

  /** Blocks the thread until it is sent: for worker threads. */
  sendSync(data: Sendable, timeoutMs: number = Number.POSITIVE_INFINITY): void {
    const bytes = toBytes(data);
    const wait = waitOf('send', timeoutMs);
    this.#use('send').sender.sendSync(bytes, wait.timeoutMs);
  }

  /**
   * Sends many with few calls: the fast way for small messages. No other message of this handle comes between them.
   * When it fails in the middle, `details.sent` of the error says how many have gone, from the first on.
   *
   * @throws IPCError as `send`.
   */
  async sendMany(messages: readonly Sendable[], wait?: ShmWaitOptions | number): Promise<void> {
    const all = allToBytes(messages);
    const resolved = waitOf('send', wait);
    await this.#use('send').sender.sendMany(all, resolved);
  }

  /** Sends as many as there is room for; gives how many, counted from the first. */
  trySendMany(messages: readonly Sendable[]): number {
    const all = allToBytes(messages);
    return this.#use('send').sender.trySendMany(all);
  }

  /**
   * A place to write a message of at most this size into. See `Loan`.
   *
   * @throws IPCError `TIME_OUT` when the ring has no room now.
   */
  loan(bytes: number): Loan {
    countOption('send', 'bytes', bytes, 0, MAX_MESSAGE_BYTES);
    const session = this.#use('send');
    const { sender } = session;
    if (bytes > 0 && sender.waiting === 0) {
      const loan = session.views.loan(bytes);
      if (loan instanceof Loan) return loan;
      if (loan === STATUS.full || loan === STATUS.busy) throw timeoutError('send', this.name, 0);
      if (loan !== STATUS.unsupported && loan !== STATUS.tooLarge) throw session.ring.error('send', loan);
    }
    return new Loan(
      new Uint8Array(bytes),
      false,
      (data) => this.send(data),
      () => undefined,
    );
  }

  // --- receiving ---------------------------------------------------------------------------------

  /**
   * The next message, when it comes. Small ones share memory of 128 KiB: copy what is kept for long.
   *
   * @throws IPCError `TIME_OUT`, `TIME_CANCELLED`, `LIMIT_EVICTED`, `PEER_CORRUPT_REGION`, `USAGE_WRONG_MODE`, `USAGE_CLOSED`.
   */
  receive(wait?: ShmWaitOptions | number): Promise<Buffer> {
    try {
      return this.#use('receive').receiver.receive(waitOf('receive', wait));
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /** The next message if there is one, else null. */
  tryReceive(): Buffer | null {
    return this.#use('receive').receiver.take() ?? null;
  }

  /**
   * Puts the next message, when it comes, into a place of the caller's: how many bytes it has.
   *
   * @throws IPCError as `receive`; `USAGE_INVALID_OPTION` when it does not fit, and then it stays the next.
   *
   * @example
   * ```ts
   * const place = Buffer.alloc(1 << 20);
   * for (;;) handle(place.subarray(0, await channel.receiveInto(place)));
   * ```
   */
  receiveInto(place: Uint8Array, wait?: ShmWaitOptions | number): Promise<number> {
    try {
      const { receiver } = this.#use('receive');
      checkPlace(place);
      return receiver.receiveBy(
        () => receiver.takeInto(place),
        (bytes) => bytes,
        waitOf('receive', wait),
      );
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /** As `receiveInto`, if there is a message; else null. */
  tryReceiveInto(place: Uint8Array): number | null {
    const { receiver } = this.#use('receive');
    checkPlace(place);
    return receiver.takeInto(place) ?? null;
  }

  /** Blocks the thread until a message comes: for worker threads. */
  receiveSync(timeoutMs: number = Number.POSITIVE_INFINITY): Buffer {
    return this.#use('receive').receiver.receiveSync(waitOf('receive', timeoutMs).timeoutMs);
  }

  /** Waits for one message, and gives with it those that are there already, at most `max`. */
  async receiveMany(max: number, wait?: ShmWaitOptions | number): Promise<Buffer[]> {
    countOption('receive', 'max', max, 1, 1_000_000);
    const { receiver } = this.#use('receive');
    const messages = [await receiver.receive(waitOf('receive', wait))];
    try {
      while (messages.length < max) {
        const next = receiver.take();
        if (next === undefined) break;
        messages.push(next);
      }
    } catch {
      // The next call says it again; what has come is not lost for it.
    }
    return messages;
  }

  /** The next message without a copy, when it comes. See `MessageView`. */
  receiveView(wait?: ShmWaitOptions | number): Promise<MessageView> {
    try {
      const { receiver } = this.#use('receive');
      return receiver.receiveBy(
        () => this.tryReceiveView(),
        (view) => view.data.length,
        waitOf('receive', wait),
      );
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /** The next message without a copy, or undefined. See `MessageView`. */
  tryReceiveView(): MessageView | undefined {
    const { receiver, ring, views } = this.#use('receive');
    if (ring.keepsAll && receiver.inbox.waiting === 0 && views.expectsLarge) return views.tryReceive();
    const data = receiver.take(false, ring.keepsAll ? COPIED_VIEW_BYTES : undefined);
    if (data !== undefined) return copied(data, receiver.inbox.sequence, ring);
    return ring.keepsAll ? views.tryReceive() : undefined;
  }

  /** Calls the handler with every message; gives a function that ends it. */
  onMessage(handler: MessageHandler, options: HandlerOptions = {}): () => void {
    const borrow = checked('receive', () => {
      functionOption('handler', handler);
      knownOptions('onMessage', options, ['borrow']);
      return booleanOption('borrow', options.borrow, false);
    });
    return this.#use('receive').receiver.addHandler(handler, borrow);
  }

  /** Messages until the channel is closed, or left. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Buffer> {
    return new Messages(() => this.#use('receive').receiver);
  }

  /** After an eviction: begins again with what is sent from now on. Nothing happens when there was none. */
  rejoin(): void {
    const { receiver, ring, presence } = this.#use('receive');
    if (!presence.isEvicted) return;
    ring.check('open', ring.rejoin());
    receiver.resume();
  }

  // --- presence ----------------------------------------------------------------------------------

  /** How many handles receive; the dead are not among them. */
  getReceiverCount(): number {
    return this.#use('open').presence.receivers();
  }
  /** How many handles send; the dead are not among them. */
  getSenderCount(): number {
    return this.#use('open').presence.senders();
  }
  /** Everybody in the channel. */
  peers(): Peer[] {
    return this.#use('open').presence.peers();
  }

  /** True when there are so many receivers; false when the time ran out, also that of `AbortSignal.timeout`. */
  async waitForReceivers(count: number, wait?: ShmWaitOptions | number): Promise<boolean> {
    countOption('open', 'count', count, 0, 1024);
    return this.#use('open').presence.waitForReceivers(count, waitOf('open', wait));
  }

  /** With false, handlers of this channel do not keep the process alive. */
  setKeepAlive(keepAlive: boolean): void {
    const { receiver } = this.#use('receive');
    receiver.setKeepAlive(checked('receive', () => booleanOption('keepAlive', keepAlive, true)));
  }
}

function falseOnTimeout(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof IPCError && error.code === 'TIME_OUT') return false;
    throw error;
  }
}
