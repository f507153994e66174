// A client on the old JSON protocol: its messages in, ours out as it understands them. It trusts the
// socket, not the `connection_id` in payloads. The format is the business of protocol/legacy-json.ts.

import { asIpcError, ipcError, type IPCError, toError } from '../base/errors.ts';
import { Outflow, type OutflowOptions } from '../connection/outflow.ts';
import { FrameCutter } from '../protocol/frame.ts';
import { decodeLegacy, encodeLegacy, type LegacyMessage } from '../protocol/legacy-json.ts';
import type { Message } from '../protocol/messages.ts';
import { checkChannelName } from '../protocol/names.ts';
import { FROM_OLD } from '../protocol/old-payload.ts';
import type { Wire } from '../transports/wire.ts';
import type { Context } from './context.ts';
import type { Flow, Owed } from './flow.ts';
import type { Hub } from './hub.ts';
import { ServerMessage } from './message.ts';
import type { IncomingCall, IncomingMessage, LegacyReceiver } from './model.ts';
import { BasePeer, type PeerFacts } from './peer.ts';
import { legacyPayload } from './publication.ts';
import { LegacySubscriber } from './subscriber.ts';

/** A client that takes nothing for this many heartbeats is gone. */
const HEARTBEATS_MISSED_MAX = 3;

export class LegacyPeer extends BasePeer implements LegacyReceiver, Owed {
  /** Old clients take no streams. */
  readonly streamWindowBytes = 0;
  readonly #hub: Hub;
  readonly #context: Context;
  readonly #wire: Wire;
  readonly #outflow: Outflow;
  readonly #cutter: FrameCutter;
  readonly #subscribersByName = new Map<string, LegacySubscriber>();
  /** By the request itself: old clients choose their ids, and may choose one twice. */
  readonly #incoming = new Map<IncomingMessage, IncomingCall>();
  #heardAt: number;
  #beatAt = 0;
  #takenBytes = 0;
  #takenAt: number;
  /** Too many answers wait for a client that does not read. */
  #unread = false;
  #bytesIn = 0;
  #closed = false;
  #reason: IPCError | undefined;
  #flow: Flow | undefined;
  #held: Uint8Array[] = [];

  constructor(hub: Hub, wire: Wire, options: OutflowOptions, facts: PeerFacts) {
    super(facts, wire.peer, 'json', hub.context.settings.outboxBytesMax);
    this.#hub = hub;
    this.#context = hub.context;
    this.#wire = wire;
    this.#heardAt = hub.context.clock();
    this.#takenAt = this.#heardAt;
    this.#outflow = new Outflow(wire, options, () => this.flushSubscribers());
    this.#cutter = new FrameCutter(hub.context.settings.limits.messageBytesMax, (size) => Buffer.allocUnsafe(size));
  }

  get lastActivity(): number {
    return this.#context.toEpoch(this.#heardAt);
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#outflow.bytesOut;
  }

  get waitingBytes(): number {
    return this.#outflow.waitingBytes;
  }

  get congested(): boolean {
    return this.#outflow.congested;
  }

  // --- What arrives

  receive(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#bytesIn += chunk.length;
    this.#heardAt = this.#context.clock();
    this.#take(chunk);
    this.#holdBack();
  }

  #take(chunk: Uint8Array): void {
    // The only way to slow an old publisher is not to listen to it.
    if (this.#flow !== undefined || this.#unread) {
      this.#held.push(chunk);
      return;
    }
    try {
      this.#cutter.push(chunk);
      while (!this.#closed && this.#cutter.next()) {
        this.#message(decodeLegacy(this.#cutter.buffer.subarray(this.#cutter.start, this.#cutter.end)));
        if (this.#flow === undefined) continue;
        this.#held.push(Uint8Array.prototype.slice.call(this.#cutter.rest()));
        return;
      }
    } catch (thrown) {
      const error = asIpcError(thrown);
      // The old wire has no goodbye that could say why.
      this.#context.report(error, this);
      this.close(error);
    }
  }

  /**
   * To be called every now and then. Old clients send no heartbeat, and one that was disconnected often
   * hangs up only when it is sent something (docs/interop-python.md).
   */
  tick(now: number): void {
    const { heartbeatIntervalMs } = this.#context.settings;
    if (this.#closed || heartbeatIntervalMs === 0) return;
    const takenBytes = this.#outflow.bytesOut - this.#wire.bufferedBytes;
    if (this.waitingBytes === 0 || takenBytes !== this.#takenBytes) {
      this.#takenBytes = takenBytes;
      this.#takenAt = now;
    }
    if (now - this.#takenAt >= HEARTBEATS_MISSED_MAX * heartbeatIntervalMs) {
      this.close(ipcError('PEER_SILENT', `the client has not read for ${HEARTBEATS_MISSED_MAX} heartbeats`));
    } else if (this.waitingBytes === 0 && now - Math.max(this.#heardAt, this.#beatAt) >= heartbeatIntervalMs) {
      this.#beatAt = now;
      this.say('notification', 'system', { action: 'heartbeat' }, null);
    }
  }

  wireDrained(): void {
    this.#outflow.drained();
    if (!this.#unread || this.waitingBytes > this.#context.settings.outboxBytesMax / 2) return;
    this.#unread = false;
    this.#goOn();
  }

  /** A client that asks but does not read its answers is not read from any more. */
  #holdBack(): void {
    if (this.#unread || this.#closed || this.waitingBytes <= this.#context.settings.outboxBytesMax) return;
    this.#unread = true;
    this.#wire.pause();
  }

  wireClosed(cause: Error | undefined): void {
    const error = this.#reason ?? ipcError('NETWORK_LOST', 'the connection was lost', { cause });
    // An old client has no goodbye; closing its socket is the only way it leaves.
    this.#leave(cause === undefined && this.#reason === undefined, error);
    this.#outflow.stop();
    this.#hub.gone(this, error);
  }

  /** Once: a client whose wire is slow to go is not there any more for anybody else. */
  #leave(goodbye: boolean, error: IPCError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#flow?.forget(this);
    const lost = ipcError('REMOTE_LOST', `connection ${this.id} has gone`, { cause: error });
    for (const call of [...this.#incoming.values()]) call.abandon(lost);
    this.#hub.left(this, goodbye);
  }

  #message(message: LegacyMessage): void {
    this.#context.stats.messagesIn += 1;
    const now = this.#context.clock();
    this.#hub.checkRate(this, 1, now);
    switch (message.messageType) {
      case 'request':
        this.#asked(this.#serverMessage(message), now);
        break;
      case 'publish':
        this.#published(this.#serverMessage(message));
        break;
      case 'notification':
        this.#hub.requests.notified(this.#serverMessage(message), now);
        break;
      case 'subscribe':
        this.#subscribe(message.channelId);
        break;
      case 'unsubscribe':
        this.#unsubscribe(message.channelId);
        break;
      default:
        // A response to nobody: the server asks old clients nothing.
        break;
    }
  }

  /** The application is the connection's, whatever the message says. */
  #serverMessage(message: LegacyMessage): ServerMessage {
    const { messageType, channelId, payload, messageId, timestamp } = message;
    return new ServerMessage(
      this,
      messageType,
      channelId,
      undefined,
      payload,
      messageId,
      timestamp * 1000,
      undefined,
      false,
      FROM_OLD,
    );
  }

  #asked(request: IncomingMessage, now: number): void {
    if (this.#incoming.size >= this.#context.settings.limits.requestsMax) {
      this.fail(
        request,
        ipcError('LIMIT_REQUESTS', `${this.#incoming.size} requests are outstanding on this connection`),
      );
      return;
    }
    this.#hub.requests.take(request, now);
  }

  #published(message: IncomingMessage): void {
    this.#hub.publishing.ofLegacy(message, (flow, error) => {
      if (error !== undefined) this.#context.report(error, this);
      if (flow?.blocked !== true || this.#closed) return;
      this.#flow = flow;
      flow.owe(this);
      this.#wire.pause();
    });
  }

  /** Nobody holds this publisher up any more. */
  settle(): void {
    this.#flow = undefined;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#flow !== undefined || this.#unread || this.#closed) return;
    this.#wire.resume();
    // What one of them holds back again keeps its place: `#take` puts it, and all that follow, into #held.
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.#take(chunk);
  }

  // Never acknowledged, and idempotent, as in the original.
  #subscribe(filter: string): void {
    if (this.#subscribersByName.has(filter)) return;
    try {
      const settings = this.#hub.subscriberSettings(this, {
        pattern: filter,
        policy: undefined,
        outboxBytesMax: undefined,
      });
      const subscriber = new LegacySubscriber(this, filter, settings);
      this.#subscribersByName.set(filter, subscriber);
      this.#hub.subscribe(this, subscriber, true, () => undefined);
    } catch (thrown) {
      this.#subscribersByName.delete(filter);
      this.#context.report(toError(thrown), this);
    }
  }

  #unsubscribe(filter: string): void {
    const subscriber = this.#subscribersByName.get(filter);
    if (subscriber === undefined) return;
    this.#subscribersByName.delete(filter);
    this.#hub.unsubscribe(this, subscriber);
  }

  // --- What goes out

  sendBody(body: Uint8Array): void {
    if (this.#closed) return;
    this.#context.stats.messagesOut += 1;
    this.#outflow.writer.body(body);
    this.#outflow.touch();
  }

  /** Says a message of the old protocol. */
  say(messageType: LegacyMessage['messageType'], channelId: string, payload: unknown, replyTo: string | null): void {
    const messageId = this.#context.messageId();
    const timestamp = this.#context.now() / 1000;
    this.sendBody(encodeLegacy({ messageId, appId: this.appId, channelId, messageType, payload, timestamp, replyTo }));
  }

  override notify(channelId: string, payload: unknown): void {
    if (this.#closed) throw ipcError('USAGE_CLOSED', `connection ${this.id} is closed`);
    checkChannelName(channelId);
    this.checkBacklog();
    this.say('notification', channelId, payload, null);
  }

  override request(): Promise<Message> {
    return Promise.reject(
      ipcError('REMOTE_NO_HANDLER', 'a client on the old protocol cannot be asked: it has no word for the answer'),
    );
  }

  override close(error: IPCError = ipcError('REMOTE_CLOSED', 'the server closed the connection')): void {
    if (this.#closed) return;
    this.#reason = error;
    this.#leave(false, error);
    this.#wire.resume();
    this.#outflow.end(1000, '');
  }

  destroy(error: IPCError): void {
    this.#reason ??= error;
    this.#leave(false, error);
    this.#outflow.stop();
    this.#wire.destroy();
  }

  override respond(request: IncomingMessage, content: number, bytes: Uint8Array): void {
    let payload: unknown;
    try {
      payload = legacyPayload(content, bytes, this.#context.codec);
    } catch (thrown) {
      // A worker on the native protocol may answer with what the old one cannot carry.
      this.fail(request, asIpcError(thrown));
      return;
    }
    this.say('response', request.channelId, payload, request.messageId);
  }

  /** There are no errors on the old wire; this answer keeps the caller from waiting for its time-out. */
  override fail(request: IncomingMessage, error: IPCError): void {
    this.#context.stats.errors += 1;
    const payload = { error: true, message: error.message, status: 'error', code: error.code };
    this.say('response', request.channelId, payload, request.messageId);
  }

  // Requests of old clients never take a stream, so nothing is ever streamed to them.
  override streamData(): void {}

  override streamEnd(): void {}

  override track(request: IncomingMessage, call: IncomingCall): void {
    this.#incoming.set(request, call);
  }

  override answering(request: IncomingMessage): boolean {
    return this.#incoming.has(request);
  }

  override callEnded(request: IncomingMessage): void {
    const call = this.#incoming.get(request);
    if (call === undefined) return;
    this.#incoming.delete(request);
    this.#hub.requests.unwatch(call);
    this.#hub.requests.ended();
  }
}
