// One connection to a server, as the client sees it: the handshake, what goes out, and what an incoming
// frame means. It holds nothing that outlives the connection.

import { ipcError, type IPCError } from '../base/errors.ts';
import type { Connection, ConnectionOwner, FrameSource } from '../connection/connection.ts';
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
import { encodePayload, type EncodedPayload } from '../protocol/payload.ts';
import { readError, readFields, type TickResult, writeFields } from '../session/session.ts';
import { Acknowledgement, CallTable, type Pending } from './calls.ts';
import { Deliveries } from './deliveries.ts';
import { goodbyeError, readWelcome, type Welcome } from './handshake.ts';
import { type Link, type LinkOwner, lossOf, unpublished } from './link.ts';
import { Outgoing } from './outgoing.ts';
import type { StreamLink } from './response-stream.ts';
import type { Subscription, SubscriptionLink } from './subscription.ts';
import { Tasks } from './tasks.ts';

/** PONGs below this answer the heartbeats of the session. */
const FIRST_PING = 0x1000;
/** Below this nothing is near any bound; looking closer costs time. */
const LITTLE_BYTES = 64 * 1024;

export class NativeLink implements Link, ConnectionOwner, StreamLink, SubscriptionLink {
  readonly #connection: Connection;
  readonly #owner: LinkOwner;
  readonly #calls = new CallTable();
  readonly #outgoing: Outgoing;
  readonly #tasks: Tasks;
  readonly #deliveries: Deliveries;
  readonly #pings = new Map<number, Pending>();
  #welcome: Welcome | undefined;
  #goodbye: IPCError | undefined;
  #nextPing = FIRST_PING;
  #received = 0;
  #origin = '';
  #timeMs = 0;

  constructor(owner: LinkOwner, connection: Connection) {
    this.#owner = owner;
    this.#connection = connection;
    this.#outgoing = new Outgoing(connection, this.#calls, owner.publishQueueBytesMax);
    this.#tasks = new Tasks(connection, owner.times, owner.requestsMax, (value) => this.#encode(value));
    this.#deliveries = new Deliveries(connection.session, (channel, frame, start, end) =>
      this.#message(MessageType.PUBLISH, channel, frame, start, end),
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
    return this.#outgoing.queuedBytes;
  }

  get bytesIn(): number {
    return this.#connection.bytesIn;
  }

  get bytesOut(): number {
    return this.#connection.bytesOut;
  }

  open(): void {
    const { writer } = this.#connection;
    this.#connection.open(this);
    writer.frame(
      FrameType.HELLO,
      0,
      0,
      PROTOCOL_MAGIC,
      PROTOCOL_VERSION,
      PROTOCOL_VERSION,
      writeFields(this.#owner.hello),
    );
    this.#connection.touch();
  }

  close(error: IPCError): void {
    this.#connection.close(error);
  }

  destroy(error: IPCError): void {
    this.#connection.destroy(error);
  }

  heartbeat(now: number): TickResult {
    const result = this.#connection.session.tick(now);
    if (result === 'pinged') this.#connection.touch();
    if (result === 'dead') {
      const silentMs = Math.round(now - this.#connection.session.heardAt);
      this.#connection.destroy(ipcError('PEER_SILENT', `nothing was heard from the server for ${silentMs} ms`));
    }
    return result;
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
    const number = this.#outgoing.channel(channel).number;
    const id = this.#calls.add(pending);
    pending.link = this;
    const flags = streams ? FrameFlag.STREAM : 0;
    this.#connection.writer.frame(FrameType.REQUEST, flags, payload.content, id, number, timeoutMs, payload.bytes);
    this.#connection.touch();
  }

  notify(channel: string, value: unknown): void {
    this.#checkRoom();
    const payload = this.#encode(value);
    const number = this.#outgoing.channel(channel).number;
    this.#connection.writer.frame(FrameType.NOTIFICATION, 0, payload.content, 0, number, 0, payload.bytes);
    this.#connection.touch();
  }

  publish(channel: string, value: unknown, retain: boolean, confirm: Acknowledgement | undefined): void {
    this.#outgoing.publish(channel, retain ? FrameFlag.RETAIN : 0, this.#encode(value), confirm);
  }

  publishes(channel: string): boolean {
    return this.#outgoing.channel(channel).open;
  }

  whenPublishes(channel: string, run: () => void): () => void {
    return this.#outgoing.channel(channel).whenOpen(run);
  }

  subscribe(subscription: Subscription): Promise<number> {
    const call = new Acknowledgement(this.#owner.times);
    const id = this.#calls.add(call);
    call.link = this;
    this.#calls.hold(id);
    this.#deliveries.add(id, subscription);
    const credit = subscription.attach(this, id);
    this.#connection.writer.frame(FrameType.SUBSCRIBE, 0, 0, id, 0, credit, writeFields(subscription.fields));
    this.#connection.touch();
    return call.promise;
  }

  unsubscribe(id: number): Promise<number> {
    this.dropSubscription(id);
    return this.#operate(FrameType.UNSUBSCRIBE, id);
  }

  /** Forgets a subscription that was refused or ended. */
  dropSubscription(id: number): void {
    this.#deliveries.drop(id);
    this.#calls.release(id);
  }

  /** Offers to answer requests of a channel; `answered` gets the id for `unserve`. */
  serve(fields: object): { readonly id: number; readonly acknowledged: Promise<number> } {
    const call = new Acknowledgement(this.#owner.times);
    const id = this.#calls.add(call);
    call.link = this;
    this.#calls.hold(id);
    this.#connection.writer.frame(FrameType.SERVE, 0, 0, id, 0, 0, writeFields(fields));
    this.#connection.touch();
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
    this.#connection.writer.frame(FrameType.PING, 0, 0, pending.id, 0, 0);
    this.#connection.touch();
  }

  forget(id: number, cancel: boolean): void {
    this.#calls.take(id);
    if (!cancel || this.#connection.session.state !== 'open') return;
    this.#connection.writer.frame(FrameType.CANCEL, 0, 0, id, 0, 0);
    this.#connection.touch();
  }

  grantStream(id: number, bytes: number): void {
    this.#grant(FrameFlag.OWN_ID, CreditKind.STREAM, id, bytes);
  }

  grantSubscription(id: number, bytes: number): void {
    this.#grant(0, CreditKind.SUBSCRIPTION, id, bytes);
  }

  frames(frames: FrameSource): void {
    this.#timeMs = this.#owner.now();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.type === FrameType.DELIVERY) this.#deliveries.take(frame, frames);
      else this.#frame(frame);
    }
  }

  drained(): void {}

  closed(cause: IPCError): void {
    const error = this.#goodbye ?? cause;
    const lost = lossOf(error);
    this.#owner.leaving(this);
    this.#deliveries.dropAll();
    this.#tasks.end(lost);
    const { waiting, unsent } = this.#outgoing.end();
    const pending = [...this.#calls.drain(), ...this.#pings.values(), ...waiting];
    this.#pings.clear();
    for (const one of pending) one.fail(lost);
    if (unsent > 0) this.#owner.report(unpublished(unsent, lost));
    this.#outgoing.wake();
    this.#owner.closed(this, error);
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
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
      case FrameType.REQUEST: {
        const request = this.#message(MessageType.REQUEST, this.#connection.session.peerName(frame.channel), frame);
        const handler = this.#owner.handlerOf(request.channelId);
        this.#tasks.begin(frame, request, handler, this.welcome.streamWindowBytes, this.#timeMs);
        return;
      }
      case FrameType.NOTIFICATION:
        this.#owner.notified(
          this.#message(MessageType.NOTIFICATION, this.#connection.session.peerName(frame.channel), frame),
        );
        return;
      default:
        this.#rare(frame);
    }
  }

  #rare(frame: Frame): void {
    switch (frame.type) {
      case FrameType.CANCEL:
        this.#tasks.cancelled(frame.id);
        return;
      case FrameType.LOST:
        this.#lost(frame);
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
        this.#connection.destroy(this.#goodbye);
        return;
      }
      default:
        return;
    }
  }

  #welcomed(frame: Frame): void {
    this.#welcome = readWelcome(frame);
    this.#outgoing.begin(this.#welcome.publishWindowBytes);
    this.#origin = `${this.#welcome.connectionId}-in`;
    this.#connection.session.become('open');
    this.#owner.opened(this);
  }

  #lost(frame: Frame): void {
    const { cause } = readFields(frame);
    this.#deliveries.get(frame.id)?.missed(frame.value, typeof cause === 'string' ? cause : '');
  }

  #refused(frame: Frame): void {
    const error = readError(frame);
    const pending = this.#calls.take(frame.id);
    if (pending !== undefined) pending.fail(error);
    const subscription = this.#deliveries.get(frame.id);
    if (pending !== undefined || subscription === undefined) return;
    this.dropSubscription(frame.id);
    this.#owner.subscriptionEnded(subscription, error);
  }

  #credit(frame: Frame): void {
    if (frame.content === CreditKind.STREAM) this.#tasks.granted(frame.id, frame.value);
    else if (frame.content === CreditKind.PUBLISH) this.#outgoing.granted(frame.channel, frame.value);
  }

  #operate(type: number, value: number): Promise<number> {
    const call = new Acknowledgement(this.#owner.times);
    call.link = this;
    this.#connection.writer.frame(type, 0, 0, this.#calls.add(call), 0, value);
    this.#connection.touch();
    return call.promise;
  }

  #grant(flags: number, kind: number, id: number, bytes: number): void {
    this.#connection.writer.frame(FrameType.CREDIT, flags, kind, id, 0, bytes);
    this.#connection.touch();
  }

  #message(type: MessageType, channel: string, frame: Frame, start = frame.start, end = frame.end): Message<never> {
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
      start,
      end,
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
    const { writer } = this.#connection;
    if (writer.pendingBytes < LITTLE_BYTES && !this.#connection.congested) return;
    const waitingBytes = this.#connection.waitingBytes;
    if (waitingBytes < this.#owner.outboxBytesMax) return;
    throw ipcError('LIMIT_OUTBOX', `${waitingBytes} bytes wait to be sent; the server takes them too slowly`, {
      details: { waitingBytes, bytesMax: this.#owner.outboxBytesMax },
    });
  }
}
