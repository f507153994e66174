// One connection to a server, as the client sees it: the handshake, what goes out, and what an incoming
// frame means. It holds nothing that outlives the connection.

import { errorFromWire, type IPCError, ipcError } from '../base/errors.ts';
import type { Connection, ConnectionOwner } from '../connection/connection.ts';
import type { Frame } from '../protocol/codec.ts';
import {
  CreditKind,
  FrameFlag,
  FrameType,
  HEADER_BYTES,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
} from '../protocol/frame-types.ts';
import { Message, MessageType } from '../protocol/messages.ts';
import { checkChannelName } from '../protocol/names.ts';
import { encodePayload, type EncodedPayload, type PayloadCodec } from '../protocol/payload.ts';
import { CREDIT_OVERHEAD_BYTES, readFields, writeFields } from '../session/session.ts';
import { Acknowledgement, CallTable, type Pending } from './calls.ts';
import type { StreamLink } from './response-stream.ts';
import { type AnswerLink, type RequestHandler, Task } from './serving.ts';
import { OutgoingChannel } from './outgoing.ts';
import type { Subscription, SubscriptionLink } from './subscription.ts';
import type { Timekeeper } from './timekeeper.ts';
import { readWelcome, type Welcome } from './welcome.ts';

/** What a connection asks of the client that it belongs to. */
export interface LinkOwner {
  readonly appId: string;
  readonly times: Timekeeper;
  readonly codec: PayloadCodec | undefined;
  readonly outboxBytesMax: number;
  readonly publishQueueBytesMax: number;
  readonly requestsMax: number;
  /** Milliseconds since the epoch. */
  now(): number;
  handlerOf(channel: string): RequestHandler | undefined;
  notified(message: Message): void;
  /** The handshake is done. */
  opened(link: NativeLink): void;
  /** The connection has gone; called exactly once, last. */
  closed(link: NativeLink, error: IPCError): void;
}

/** PONGs below this answer the heartbeats of the session. */
const FIRST_PING = 0x1000;

export class NativeLink implements ConnectionOwner, StreamLink, AnswerLink, SubscriptionLink {
  readonly connection: Connection;
  readonly #owner: LinkOwner;
  readonly #calls = new CallTable();
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #channelsByName = new Map<string, OutgoingChannel>();
  readonly #channels: OutgoingChannel[] = [];
  readonly #tasks = new Map<number, Task>();
  readonly #pings = new Map<number, Pending>();
  #welcome: Welcome | undefined;
  #goodbye: IPCError | undefined;
  #nextPing = FIRST_PING;
  #received = 0;
  #queuedBytes = 0;
  #origin = '';
  #timeMs = 0;
  // A burst of deliveries is mostly of one subscription and one channel.
  #lastSubscription: Subscription | undefined;
  #lastChannel = 0;
  #lastChannelName = '';

  constructor(owner: LinkOwner, connection: Connection) {
    this.#owner = owner;
    this.connection = connection;
  }

  /** What the server said in its WELCOME. Only after `opened`. */
  get welcome(): Welcome {
    if (this.#welcome === undefined) throw ipcError('SYSTEM_UNEXPECTED', 'the handshake is not finished');
    return this.#welcome;
  }

  /** Operations that are not answered. */
  get pending(): number {
    return this.#calls.size;
  }

  /** Bytes of publishes that wait for credit. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Begins with HELLO; `opened` or `closed` follows. */
  open(hello: object): void {
    this.connection.open(this);
    const payload = writeFields(hello);
    this.connection.writer.frame(FrameType.HELLO, 0, 0, PROTOCOL_MAGIC, PROTOCOL_VERSION, PROTOCOL_VERSION, payload);
    this.connection.touch();
  }

  request(pending: Pending, channel: string, value: unknown, timeoutMs: number, streams: boolean): void {
    this.#checkRoom();
    if (this.#calls.size >= this.#owner.requestsMax) {
      throw ipcError(
        'LIMIT_REQUESTS',
        `${this.#calls.size} requests are not answered yet; ${this.#owner.requestsMax} are the most`,
      );
    }
    const payload = this.#encode(value);
    const number = this.channel(channel).number;
    const id = this.#calls.add(pending);
    pending.link = this;
    const flags = streams ? FrameFlag.STREAM : 0;
    this.connection.writer.frame(FrameType.REQUEST, flags, payload.content, id, number, timeoutMs, payload.bytes);
    this.connection.touch();
  }

  notify(channel: string, value: unknown): void {
    this.#checkRoom();
    const payload = this.#encode(value);
    const number = this.channel(channel).number;
    this.connection.writer.frame(FrameType.NOTIFICATION, 0, payload.content, 0, number, 0, payload.bytes);
    this.connection.touch();
  }

  /** Publishes, or keeps it until there is credit. Throws `LIMIT_OUTBOX` when too much waits. */
  publish(channel: string, value: unknown, retain: boolean, confirm: Acknowledgement | undefined): void {
    const out = this.channel(channel);
    const payload = this.#encode(value);
    const flags = retain ? FrameFlag.RETAIN : 0;
    if (out.open) {
      this.#publish(out, flags, payload.content, payload.bytes, confirm);
      return;
    }
    const bytes = payload.bytes.length + CREDIT_OVERHEAD_BYTES;
    if (this.#queuedBytes + bytes > this.#owner.publishQueueBytesMax) {
      throw ipcError(
        'LIMIT_OUTBOX',
        `${this.#queuedBytes} bytes wait to be published; await publishReady('${channel}')`,
        {
          details: { channel, waitingBytes: this.#queuedBytes, bytesMax: this.#owner.publishQueueBytesMax },
        },
      );
    }
    this.#queuedBytes += bytes;
    out.push({ flags, content: payload.content, bytes: payload.bytes, confirm });
  }

  subscribe(subscription: Subscription): Promise<number> {
    const call = new Acknowledgement(this.#owner.times);
    const id = this.#calls.add(call);
    call.link = this;
    this.#calls.hold(id);
    this.#subscriptions.set(id, subscription);
    const credit = subscription.attach(this, id);
    this.connection.writer.frame(FrameType.SUBSCRIBE, 0, 0, id, 0, credit, writeFields(subscription.fields));
    this.connection.touch();
    return call.promise;
  }

  unsubscribe(id: number): Promise<number> {
    this.dropSubscription(id);
    return this.#operate(FrameType.UNSUBSCRIBE, id);
  }

  /** Forgets a subscription that was refused or ended. */
  dropSubscription(id: number): void {
    if (this.#lastSubscription?.id === id) this.#lastSubscription = undefined;
    this.#subscriptions.get(id)?.detach();
    this.#subscriptions.delete(id);
    this.#calls.release(id);
  }

  /** Offers to answer requests of a channel; `answered` gets the id for `unserve`. */
  serve(fields: object): { readonly id: number; readonly acknowledged: Promise<number> } {
    const call = new Acknowledgement(this.#owner.times);
    const id = this.#calls.add(call);
    call.link = this;
    this.#calls.hold(id);
    this.connection.writer.frame(FrameType.SERVE, 0, 0, id, 0, 0, writeFields(fields));
    this.connection.touch();
    return { id, acknowledged: call.promise };
  }

  unserve(id: number): Promise<number> {
    this.#calls.release(id);
    return this.#operate(FrameType.UNSERVE, id);
  }

  ping(pending: Pending): void {
    this.#nextPing = this.#nextPing >= 0xffff_ffff ? FIRST_PING : this.#nextPing + 1;
    pending.id = this.#nextPing;
    pending.link = { forget: (id) => this.#pings.delete(id) };
    this.#pings.set(pending.id, pending);
    this.connection.writer.frame(FrameType.PING, 0, 0, pending.id, 0, 0);
    this.connection.touch();
  }

  /** The channel by its number of this connection; declared at its first use. */
  channel(name: string): OutgoingChannel {
    const known = this.#channelsByName.get(name);
    if (known !== undefined) return known;
    checkChannelName(name);
    const number = this.#channels.length + 1;
    const made = new OutgoingChannel(number, name, this.welcome.publishWindowBytes);
    this.#channels.push(made);
    this.#channelsByName.set(name, made);
    this.connection.session.declare(number, name);
    return made;
  }

  forget(id: number, cancel: boolean): void {
    this.#calls.take(id);
    if (!cancel || this.connection.session.state !== 'open') return;
    this.connection.writer.frame(FrameType.CANCEL, 0, 0, id, 0, 0);
    this.connection.touch();
  }

  grantStream(id: number, bytes: number): void {
    this.#grant(FrameFlag.OWN_ID, CreditKind.STREAM, id, bytes);
  }

  grantSubscription(id: number, bytes: number): void {
    this.#grant(0, CreditKind.SUBSCRIPTION, id, bytes);
  }

  respond(id: number, value: unknown): void {
    const payload = this.#encode(value);
    this.connection.writer.frame(FrameType.RESPONSE, 0, payload.content, id, 0, 0, payload.bytes);
    this.connection.touch();
  }

  refuse(id: number, error: IPCError): void {
    if (this.connection.session.state !== 'open') return;
    const { code, message, details } = error;
    this.connection.writer.frame(FrameType.ERROR, 0, 0, id, 0, 0, writeError(code, message, details));
    this.connection.touch();
  }

  streamData(id: number, value: unknown): number {
    const payload = this.#encode(value);
    this.connection.writer.frame(FrameType.STREAM_DATA, 0, payload.content, id, 0, 0, payload.bytes);
    this.connection.touch();
    return payload.bytes.length;
  }

  streamEnd(id: number): void {
    this.connection.writer.frame(FrameType.STREAM_END, 0, 0, id, 0, 0);
    this.connection.touch();
  }

  finished(task: Task): void {
    this.#tasks.delete(task.id);
  }

  frames(frames: readonly Frame[]): void {
    this.#timeMs = this.#owner.now();
    for (const frame of frames) this.#frame(frame);
  }

  drained(): void {}

  closed(cause: IPCError): void {
    const error = this.#goodbye ?? cause;
    for (const subscription of this.#subscriptions.values()) subscription.detach();
    this.#subscriptions.clear();
    const lost =
      error.code === 'USAGE_CLOSED'
        ? error
        : ipcError('NETWORK_LOST', `the connection ended: ${error.message}`, { cause: error });
    for (const task of [...this.#tasks.values()]) task.stop(lost, false);
    const pending = [...this.#calls.drain(), ...this.#pings.values()];
    this.#pings.clear();
    for (const out of this.#channels) {
      for (let queued = out.shift(); queued !== undefined; queued = out.shift()) {
        if (queued.confirm !== undefined) pending.push(queued.confirm);
      }
    }
    for (const one of pending) one.fail(lost);
    for (const out of this.#channels) out.wake();
    this.#owner.closed(this, error);
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
      case FrameType.DELIVERY:
        this.#delivery(frame);
        return;
      case FrameType.RESPONSE:
      case FrameType.OK:
      case FrameType.STREAM_END:
        this.#calls.take(frame.id)?.answered(frame);
        return;
      case FrameType.STREAM_DATA:
        this.#calls.get(frame.id)?.answered(frame);
        return;
      case FrameType.ERROR:
        this.#refused(frame);
        return;
      case FrameType.CREDIT:
        this.#credit(frame);
        return;
      case FrameType.REQUEST:
        this.#requested(frame);
        return;
      case FrameType.NOTIFICATION:
        this.#owner.notified(
          this.#message(MessageType.NOTIFICATION, this.connection.session.peerName(frame.channel), frame),
        );
        return;
      default:
        this.#rare(frame);
    }
  }

  #rare(frame: Frame): void {
    switch (frame.type) {
      case FrameType.CANCEL:
        this.#tasks.get(frame.id)?.stop(ipcError('REMOTE_CANCELLED', 'the caller has cancelled'), true);
        return;
      case FrameType.LOST:
        this.#subscriptions.get(frame.id)?.missed(frame.value, textField(readFields(frame)['cause']));
        return;
      case FrameType.PONG: {
        const pending = this.#pings.get(frame.id);
        this.#pings.delete(frame.id);
        pending?.answered(frame);
        return;
      }
      case FrameType.WELCOME:
        this.#welcomed(frame);
        return;
      case FrameType.GOODBYE: {
        this.#goodbye = goodbyeError(frame);
        this.connection.destroy(this.#goodbye);
        return;
      }
      default:
        return;
    }
  }

  #welcomed(frame: Frame): void {
    this.#welcome = readWelcome(frame);
    this.#origin = `${this.#welcome.connectionId}-in`;
    this.connection.session.become('open');
    this.#owner.opened(this);
    this.connection.proceed();
  }

  #delivery(frame: Frame): void {
    let subscription = this.#lastSubscription;
    if (subscription === undefined || subscription.id !== frame.id) {
      subscription = this.#subscriptions.get(frame.id);
      // Unsubscribed meanwhile.
      if (subscription === undefined) return;
      this.#lastSubscription = subscription;
    }
    if (frame.channel !== this.#lastChannel) {
      this.#lastChannelName = this.connection.session.peerName(frame.channel);
      this.#lastChannel = frame.channel;
    }
    subscription.deliver(this.#message(MessageType.PUBLISH, this.#lastChannelName, frame), frame);
  }

  #requested(frame: Frame): void {
    const channel = this.connection.session.peerName(frame.channel);
    const handler = this.#owner.handlerOf(channel);
    if (handler === undefined) {
      this.refuse(frame.id, ipcError('REMOTE_NO_HANDLER', `the client handles no requests of '${channel}'`));
      return;
    }
    if (this.#tasks.has(frame.id)) throw ipcError('PEER_UNEXPECTED_FRAME', `request ${frame.id} is not answered yet`);
    if (this.#tasks.size >= this.#owner.requestsMax) {
      this.refuse(frame.id, ipcError('LIMIT_REQUESTS', 'the client has too many requests to answer'));
      return;
    }
    const deadline = frame.value === 0 ? undefined : this.#timeMs + frame.value;
    const streams = (frame.flags & FrameFlag.STREAM) !== 0;
    const task = new Task(frame.id, this, this.#owner.times, streams, this.welcome.streamWindowBytes, deadline);
    this.#tasks.set(frame.id, task);
    if (frame.value > 0) this.#owner.times.add(task, frame.value);
    task.run(handler, this.#message(MessageType.REQUEST, channel, frame));
  }

  #refused(frame: Frame): void {
    const { code, message, details } = readFields(frame);
    const error = errorFromWire(
      String(code),
      String(message),
      typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : undefined,
    );
    const pending = this.#calls.take(frame.id);
    if (pending !== undefined) pending.fail(error);
  }

  #credit(frame: Frame): void {
    if (frame.content === CreditKind.STREAM) {
      this.#tasks.get(frame.id)?.grant(frame.value);
      return;
    }
    if (frame.content !== CreditKind.PUBLISH) return;
    const out = this.#channels[frame.channel - 1];
    if (out === undefined)
      throw ipcError('PEER_UNEXPECTED_FRAME', `credit for channel ${frame.channel}, which was not declared`);
    out.credit.grant(frame.value);
    while (out.credit.open) {
      const queued = out.shift();
      if (queued === undefined) break;
      this.#queuedBytes -= queued.bytes.length + CREDIT_OVERHEAD_BYTES;
      if (queued.confirm?.settled === true) continue;
      this.#publish(out, queued.flags, queued.content, queued.bytes, queued.confirm);
    }
    if (out.open) out.wake();
  }

  #publish(
    out: OutgoingChannel,
    flags: number,
    content: number,
    bytes: Uint8Array,
    confirm: Acknowledgement | undefined,
  ): void {
    let id = 0;
    if (confirm !== undefined) {
      id = this.#calls.add(confirm);
      confirm.link = this.#uncancellable;
    }
    out.credit.spend(bytes.length + CREDIT_OVERHEAD_BYTES);
    this.connection.writer.frame(FrameType.PUBLISH, flags, content, id, out.number, 0, bytes);
    this.connection.touch();
  }

  /** A publish cannot be taken back: nobody waits for its answer any more, that is all. */
  readonly #uncancellable = { forget: (id: number) => void this.#calls.take(id) };

  #operate(type: number, value: number): Promise<number> {
    const call = new Acknowledgement(this.#owner.times);
    call.link = this;
    this.connection.writer.frame(type, 0, 0, this.#calls.add(call), 0, value);
    this.connection.touch();
    return call.promise;
  }

  #grant(flags: number, kind: number, id: number, bytes: number): void {
    this.connection.writer.frame(FrameType.CREDIT, flags, kind, id, 0, bytes);
    this.connection.touch();
  }

  #message(type: MessageType, channel: string, frame: Frame): Message<never> {
    this.#received += 1;
    return new Message<never>(
      type,
      this.#owner.appId,
      channel,
      frame,
      undefined,
      this.#origin,
      this.#received,
      this.#timeMs,
      null,
      this.#owner.codec,
    );
  }

  #encode(value: unknown): EncodedPayload {
    const payload = encodePayload(value, this.#owner.codec);
    const bytesMax = this.welcome.messageBytesMax;
    if (payload.bytes.length + HEADER_BYTES > bytesMax) {
      throw ipcError(
        'LIMIT_MESSAGE_BYTES',
        `a payload of ${payload.bytes.length} bytes; the server takes messages of ${bytesMax}`,
        {
          details: { bytes: payload.bytes.length, bytesMax },
        },
      );
    }
    return payload;
  }

  /** Requests and notifications have no credit; what bounds them is what the system has not taken. */
  #checkRoom(): void {
    const { writer } = this.connection;
    if (writer.pendingBytes < 65_536 && !this.connection.congested) return;
    const waitingBytes = this.connection.waitingBytes;
    if (waitingBytes < this.#owner.outboxBytesMax) return;
    throw ipcError('LIMIT_OUTBOX', `${waitingBytes} bytes wait to be sent; the server takes them too slowly`, {
      details: { waitingBytes, bytesMax: this.#owner.outboxBytesMax },
    });
  }
}

function writeError(code: string, message: string, details: Readonly<Record<string, unknown>>): Uint8Array {
  try {
    return writeFields({ code, message, details });
  } catch {
    // What a handler put into the details need not be JSON.
    return writeFields({ code, message });
  }
}

/** Why the server hangs up. A code of a newer server keeps what it says about coming back. */
function goodbyeError(frame: Frame): IPCError {
  const { code, message, retry } = readFields(frame);
  const error = errorFromWire(String(code), String(message));
  return error.retry === retry || typeof retry !== 'boolean'
    ? error
    : ipcError(retry ? 'REMOTE_CLOSED' : error.code, error.message, {
        cause: error,
        details: { ...error.details, code, retry },
      });
}

/** A text of a frame's fields; empty where the server left it out. */
function textField(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
