// A connection to a server of the original Python package: its JSON messages behind the same face as the
// native protocol. What that protocol cannot do is refused with a code. docs/interop-python.md has the facts.

import { errorFromWire, ipcError, IPCError, toError } from '../base/errors.ts';
import { isErrorCode } from '../base/error-codes.ts';
import { Outflow, type OutflowOptions } from '../connection/outflow.ts';
import { closeCodeOf } from '../protocol/close-codes.ts';
import { Frame } from '../protocol/codec.ts';
import { type Allocate, FrameCutter } from '../protocol/frame.ts';
import { ContentType, FrameType } from '../protocol/frame-types.ts';
import { decodeLegacy, encodeLegacy, type LegacyMessage } from '../protocol/legacy-json.ts';
import type { Limits } from '../protocol/limits.ts';
import { Message, MessageType } from '../protocol/messages.ts';
import { checkChannelName, isPattern } from '../protocol/names.ts';
import type { TickResult } from '../session/session.ts';
import type { Wire } from '../transports/wire.ts';
import { type Acknowledgement, CallTable, type Forgetful, type Pending } from './calls.ts';
import type { Welcome } from './handshake.ts';
import { pythonCodec } from './legacy-codec.ts';
import { LegacySubscriptions } from './legacy-subscriptions.ts';
import { type Link, type LinkOwner, lossOf } from './link.ts';
import { type AnswerLink, Task } from './serving.ts';
import type { Subscription } from './subscription.ts';

export interface LegacyLinkOptions extends OutflowOptions {
  readonly limits: Limits;
  readonly allocate: Allocate;
  /** A text that no other connection has. */
  readonly uniqueId: () => string;
}

const SYSTEM = 'system';

export class LegacyLink implements Link, Forgetful, AnswerLink {
  readonly #owner: LinkOwner;
  readonly #wire: Wire;
  readonly #outflow: Outflow;
  readonly #cutter: FrameCutter;
  readonly #limits: Limits;
  readonly #connectionId: string;
  readonly #calls = new CallTable();
  readonly #subscriptions: LegacySubscriptions;
  /** Requests of the server, by the number that their task has here. */
  readonly #asked = new Map<number, { readonly task: Task; readonly request: Message }>();
  #welcome: Welcome | undefined;
  #bytesIn = 0;
  readonly #ready = new Set<() => void>();
  #sent = 0;
  #askedCount = 0;
  #reason: IPCError | undefined;

  constructor(owner: LinkOwner, wire: Wire, options: LegacyLinkOptions) {
    this.#owner = owner;
    this.#wire = wire;
    this.#limits = options.limits;
    this.#connectionId = options.uniqueId();
    this.#outflow = new Outflow(wire, options, () => this.#wake());
    this.#cutter = new FrameCutter(options.limits.messageBytesMax, options.allocate);
    this.#subscriptions = new LegacySubscriptions(wire, (type, channel) =>
      this.#send(type, channel, { connection_id: this.#connectionId }, null),
    );
  }

  get welcome(): Welcome {
    if (this.#welcome === undefined) throw ipcError('SYSTEM_UNEXPECTED', 'the handshake is not finished');
    return this.#welcome;
  }

  get pending(): number {
    return this.#calls.size;
  }

  get queuedBytes(): number {
    return 0;
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#outflow.bytesOut;
  }

  open(): void {
    this.#wire.open({
      data: (chunk) => this.#receive(chunk),
      drain: () => {
        this.#outflow.drained();
        this.#wake();
      },
      close: (error) => this.#closed(error),
    });
    const { token } = this.#owner.hello as { readonly token?: string };
    const payload = { action: 'connect', connection_id: this.#connectionId, ...(token === undefined ? {} : { token }) };
    this.#send(MessageType.REQUEST, SYSTEM, payload, null);
  }

  close(error: IPCError): void {
    this.#reason ??= error;
    this.#outflow.end(closeCodeOf('REMOTE_CLOSED'), error.message);
  }

  destroy(error: IPCError): void {
    this.#reason ??= error;
    this.#outflow.stop();
    this.#wire.destroy();
  }

  /** The old protocol has no ping that its servers answer: the system finds out who is gone. */
  heartbeat(): TickResult {
    return 'nothing';
  }

  request(pending: Pending, channel: string, value: unknown, _timeoutMs: number, streams: boolean): void {
    if (streams) throw unsupported('streams');
    checkChannelName(channel);
    if (this.#calls.size >= this.#owner.requestsMax) {
      throw ipcError('LIMIT_REQUESTS', `${this.#calls.size} requests are not answered yet`);
    }
    const id = this.#calls.add(pending);
    pending.link = this;
    try {
      this.#send(MessageType.REQUEST, channel, this.#labelled(value), null, `${this.#connectionId}-${id}`);
    } catch (thrown) {
      this.#calls.take(id);
      throw thrown;
    }
  }

  notify(channel: string, value: unknown): void {
    checkChannelName(channel);
    this.#send(MessageType.NOTIFICATION, channel, this.#labelled(value), null);
  }

  publish(channel: string, value: unknown, retain: boolean, confirm: Acknowledgement | undefined): void {
    if (retain) throw unsupported('kept last values');
    if (confirm !== undefined) throw unsupported('confirmation of publishes');
    checkChannelName(channel);
    this.#send(MessageType.PUBLISH, channel, value, null);
  }

  publishes(channel: string): boolean {
    checkChannelName(channel);
    return this.#outflow.waitingBytes < this.#owner.publishQueueBytesMax;
  }

  whenPublishes(_channel: string, run: () => void): () => void {
    this.#ready.add(run);
    return () => void this.#ready.delete(run);
  }

  /** Never acknowledged: it counts from the moment that the server reads it. */
  subscribe(subscription: Subscription): Promise<unknown> {
    if (isPattern(subscription.pattern)) return Promise.reject(unsupported('patterns'));
    this.#subscriptions.add(subscription);
    return Promise.resolve();
  }

  unsubscribe(id: number): Promise<unknown> {
    this.#subscriptions.remove(id);
    return Promise.resolve();
  }

  dropSubscription(id: number): void {
    this.#subscriptions.remove(id);
  }

  serve(): { readonly id: number; readonly acknowledged: Promise<unknown> } {
    throw unsupported('work groups');
  }

  unserve(): Promise<unknown> {
    return Promise.resolve();
  }

  ping(pending: Pending): void {
    this.request(pending, SYSTEM, { action: 'ping' }, 0, false);
  }

  /** The old protocol cannot tell that nobody waits any more. */
  forget(id: number): void {
    this.#calls.take(id);
  }

  respond(id: number, value: unknown): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    const { channelId, messageId } = asked.request;
    this.#send(MessageType.RESPONSE, channelId, value, messageId);
  }

  /** There are no errors on the old wire; what our server says to old clients, we say to old servers. */
  refuse(id: number, error: IPCError): void {
    this.respond(id, { error: true, message: error.message, status: 'error', code: error.code });
  }

  streamData(): number {
    throw unsupported('streams');
  }

  streamEnd(): void {}

  finished(task: Task): void {
    this.#asked.delete(task.id);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#reason !== undefined) return;
    this.#bytesIn += chunk.length;
    const cutter = this.#cutter;
    try {
      cutter.push(chunk);
      while (this.#reason === undefined && cutter.next()) {
        const message = decodeLegacy(cutter.buffer.subarray(cutter.start, cutter.end));
        if (this.#welcome === undefined) this.#welcomed(message);
        else this.#message(message, cutter.end - cutter.start);
      }
    } catch (thrown) {
      const error = toError(thrown);
      this.destroy(error instanceof IPCError ? error : ipcError('SYSTEM_UNEXPECTED', error.message, { cause: error }));
    }
  }

  /** The first message answers the handshake; nothing else about it is certain. */
  #welcomed(message: LegacyMessage): void {
    const { status } = (message.payload ?? {}) as { readonly status?: unknown };
    if (message.messageType !== MessageType.RESPONSE || status !== 'connected') {
      throw errorOf(message.payload) ?? ipcError('REMOTE_REFUSED', 'the server did not accept the connection');
    }
    this.#welcome = {
      connectionId: this.#connectionId,
      identity: undefined,
      server: 'ipc-framework',
      capabilities: [],
      messageBytesMax: this.#limits.messageBytesMax,
      publishWindowBytes: Number.POSITIVE_INFINITY,
      streamWindowBytes: Number.POSITIVE_INFINITY,
      heartbeatIntervalMs: 0,
      resumed: false,
    };
    this.#owner.opened(this);
  }

  #message(message: LegacyMessage, bytes: number): void {
    const pending = message.replyTo === null ? undefined : this.#calls.take(this.#callNumber(message.replyTo));
    if (pending !== undefined) {
      this.#answered(pending, message);
      return;
    }
    switch (message.messageType) {
      case MessageType.PUBLISH:
        this.#subscriptions.deliver(this.#received(message), bytes);
        return;
      case MessageType.NOTIFICATION:
        this.#owner.notified(this.#received(message));
        return;
      case MessageType.REQUEST:
        this.#request(this.#received(message));
        return;
      default:
        // An answer that came too late.
        return;
    }
  }

  #answered(pending: Pending, message: LegacyMessage): void {
    const error = errorOf(message.payload);
    if (error !== undefined) {
      pending.fail(error);
      return;
    }
    const bytes = pythonCodec.encode(message.payload);
    pending.answered(new Frame(FrameType.RESPONSE, 0, ContentType.JSON, 0, 0, 0, undefined, bytes, 0, bytes.length));
  }

  #request(request: Message): void {
    this.#askedCount += 1;
    const task = new Task(this.#askedCount, this, this.#owner.times, false, 0, undefined);
    this.#asked.set(task.id, { task, request });
    const handler = this.#owner.handlerOf(request.channelId);
    if (handler === undefined) {
      task.stop(ipcError('REMOTE_NO_HANDLER', `the client handles no requests of '${request.channelId}'`), true);
    } else if (this.#asked.size > this.#owner.requestsMax) {
      task.stop(ipcError('LIMIT_REQUESTS', 'the client has too many requests to answer'), true);
    } else {
      task.run(handler, request);
    }
  }

  #received(message: LegacyMessage): Message<never> {
    const { messageType, channelId, payload, messageId, timestamp, replyTo } = message;
    const { appId, codec } = this.#owner;
    return new Message<never>(
      messageType,
      appId,
      channelId,
      undefined,
      payload,
      messageId,
      -1,
      timestamp * 1000,
      replyTo,
      codec,
    );
  }

  /** The handlers of an original server find their caller by this, and no other way. */
  #labelled(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) return value;
    return { connection_id: this.#connectionId, ...value };
  }

  #callNumber(messageId: string): number {
    const prefix = `${this.#connectionId}-`;
    const number = messageId.startsWith(prefix) ? Number(messageId.slice(prefix.length)) : 0;
    return Number.isInteger(number) ? number : 0;
  }

  #send(type: MessageType, channel: string, payload: unknown, replyTo: string | null, messageId?: string): void {
    const waitingBytes = this.#outflow.waitingBytes;
    if (waitingBytes >= this.#owner.outboxBytesMax) {
      throw ipcError('LIMIT_OUTBOX', `${waitingBytes} bytes wait to be sent; the server takes them too slowly`);
    }
    this.#sent += 1;
    const body = encodeLegacy({
      messageId: messageId ?? `${this.#connectionId}-m${this.#sent}`,
      appId: this.#owner.appId,
      channelId: channel,
      messageType: type,
      payload: payload === undefined ? null : payload,
      timestamp: this.#owner.now() / 1000,
      replyTo,
    });
    this.#outflow.writer.body(body);
    this.#outflow.touch();
  }

  #closed(cause: Error | undefined): void {
    this.#outflow.stop();
    const during = this.#welcome === undefined ? 'during the handshake' : '';
    const lost = ipcError('NETWORK_LOST', `the connection was lost ${during}${cause?.message ?? ''}`.trim(), { cause });
    const error = this.#reason ?? lost;
    const loss = lossOf(error);
    this.#reason ??= error;
    this.#owner.leaving(this);
    this.#subscriptions.end();
    for (const { task } of [...this.#asked.values()]) task.stop(loss, false);
    for (const pending of this.#calls.drain()) pending.fail(loss);
    this.#wake();
    this.#owner.closed(this, error);
  }

  #wake(): void {
    const ready = [...this.#ready];
    this.#ready.clear();
    for (const run of ready) run();
  }
}

/** How our server tells old clients of a failure. Another server's payload that looks alike is not taken for one. */
function errorOf(payload: unknown): IPCError | undefined {
  if (typeof payload !== 'object' || payload === null) return undefined;
  const { error, message, code } = payload as Readonly<Record<string, unknown>>;
  if (error !== true || !isErrorCode(code)) return undefined;
  return errorFromWire(code, typeof message === 'string' ? message : '');
}

function unsupported(what: string): IPCError {
  return ipcError('USAGE_UNSUPPORTED', `the old JSON protocol has no ${what}`, { details: { protocol: 'json' } });
}
