// A client on the native protocol: what each of its frames means. The switch lives here; what is done is
// the hub's business.

import { type IPCError, ipcError } from '../base/errors.ts';
import type { Connection, ConnectionOwner, FrameSource } from '../connection/connection.ts';
import type { Frame } from '../protocol/codec.ts';
import { CreditKind, FrameFlag, FrameType, frameTypeName } from '../protocol/frame-types.ts';
import type { Message } from '../protocol/messages.ts';
import { encodePayload } from '../protocol/payload.ts';
import { CREDIT_OVERHEAD_BYTES, readError } from '../session/session.ts';
import { type Binding, Bindings } from './binding.ts';
import { errorFields } from './control-fields.ts';
import type { Context } from './context.ts';
import type { Hub } from './hub.ts';
import { ServerMessage } from './message.ts';
import type {
  IncomingCall,
  IncomingMessage,
  NativePublisher,
  NativeReceiver,
  PeerRequestOptions,
  Worker,
} from './model.ts';
import { Operations } from './operations.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import { OutgoingCalls } from './outgoing-calls.ts';
import { BasePeer, type PeerFacts } from './peer.ts';
import type { Deliverable } from './deliverable.ts';
import { askPeer } from './peer-request.ts';
import { ToldNames } from './told-names.ts';

export class NativePeer extends BasePeer implements ConnectionOwner, NativePublisher, NativeReceiver, Worker {
  readonly streamWindowBytes: number;
  readonly #hub: Hub;
  readonly #context: Context;
  readonly #connection: Connection;
  readonly #bindings: Bindings;
  readonly #operations: Operations;
  readonly #incoming = new Map<number, IncomingCall>();
  readonly #outgoing: OutgoingCalls;
  readonly #names: ToldNames;
  #saidGoodbye = false;
  #closed = false;
  #paused = false;

  constructor(hub: Hub, connection: Connection, facts: PeerFacts, streamWindowBytes: number) {
    super(facts, connection.peer, 'native', hub.context.settings.outboxBytesMax);
    this.#hub = hub;
    this.#context = hub.context;
    this.#connection = connection;
    this.streamWindowBytes = streamWindowBytes;
    this.#bindings = new Bindings(this, hub.context.settings.limits.publishWindowBytes);
    this.#operations = new Operations(this, hub);
    this.#names = new ToldNames(connection.session, connection.writer);
    this.#outgoing = new OutgoingCalls((call) => hub.requests.unwatch(call));
  }

  get lastActivity(): number {
    return this.#context.toEpoch(this.#connection.session.heardAt);
  }

  get bytesIn(): number {
    return this.#connection.bytesIn;
  }

  get bytesOut(): number {
    return this.#connection.bytesOut;
  }

  get waitingBytes(): number {
    return this.#connection.waitingBytes;
  }

  get congested(): boolean {
    return this.#connection.congested;
  }

  /** To be called every now and then: heartbeat. */
  tick(now: number): void {
    const result = this.#connection.session.tick(now);
    if (result === 'pinged') this.#connection.touch();
    if (result === 'dead')
      this.close(ipcError('PEER_SILENT', 'nothing was heard from the client for three heartbeats'));
  }

  // --- ConnectionOwner

  frames(frames: FrameSource, now: number): void {
    const { stats } = this.#context;
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      stats.messagesIn += 1;
      this.#hub.checkRate(this, 1, now);
      if (frame.type === FrameType.PUBLISH) this.#published(frame, frames, now);
      else this.#frame(frame, now);
    }
    this.#holdBack();
  }

  /**
   * A client that asks but does not read its answers is not read from until `drained`, which comes only after
   * a time of congestion that was noticed.
   */
  #holdBack(): void {
    if (this.#paused || !this.#connection.congested) return;
    if (this.#connection.waitingBytes <= this.#context.settings.outboxBytesMax) return;
    this.#paused = true;
    this.#connection.hold();
  }

  drained(): void {
    this.flushSubscribers();
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.release();
  }

  ending(error: IPCError): void {
    this.#leave(error);
  }

  closed(error: IPCError): void {
    this.#leave(error);
    this.#hub.gone(this, error);
  }

  /** Once: a client whose wire is slow to go is not there any more for anybody else. */
  #leave(error: IPCError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#bindings.end();
    const lost = ipcError('REMOTE_LOST', `connection ${this.id} has gone: ${error.message}`, { cause: error });
    for (const call of [...this.#incoming.values()]) call.abandon(lost);
    this.#outgoing.failAll(lost);
    this.#hub.left(this, this.#saidGoodbye);
  }

  // --- What arrives

  #frame(frame: Frame, now: number): void {
    switch (frame.type) {
      case FrameType.REQUEST:
        this.#asked(frame, now);
        break;
      case FrameType.CREDIT:
        this.#granted(frame);
        break;
      case FrameType.RESPONSE:
        this.#outgoing.take(frame.id)?.response(frame);
        break;
      case FrameType.NOTIFICATION:
        this.#hub.requests.notified(this.#message('notification', frame, now, 0), now);
        break;
      case FrameType.ERROR:
        this.#failed(frame);
        break;
      case FrameType.CANCEL:
        this.#cancelled(frame.id);
        break;
      case FrameType.STREAM_DATA:
        this.#outgoing.get(frame.id)?.streamData(frame);
        break;
      case FrameType.STREAM_END:
        this.#outgoing.take(frame.id)?.streamEnd();
        break;
      case FrameType.SUBSCRIBE:
      case FrameType.UNSUBSCRIBE:
      case FrameType.SERVE:
      case FrameType.UNSERVE:
        this.#operations.run(frame);
        break;
      case FrameType.GOODBYE:
        this.#saidGoodbye = true;
        this.#connection.close(ipcError('REMOTE_CLOSED', 'the client said goodbye'));
        break;
      case FrameType.PONG:
      case FrameType.OK:
      case FrameType.ACK:
        break;
      default:
        throw ipcError('PEER_UNEXPECTED_FRAME', `${frameTypeName(frame.type)} has no meaning for a server`);
    }
  }

  #published(frame: Frame, frames: FrameSource, now: number): void {
    const { publishing } = this.#hub;
    const binding = this.#binding(frame.channel);
    const bytes = frame.payloadBytes + CREDIT_OVERHEAD_BYTES;
    if (!binding.credit.receive(bytes)) {
      throw ipcError('PEER_FLOW_CONTROL', `PUBLISH on ${binding.name} without credit`, {
        details: { channel: binding.name },
      });
    }
    const bytesMax = publishing.burstBytesMax(binding, frame);
    const more = bytesMax > 0 ? frames.alike(bytesMax) : undefined;
    if (more === undefined) {
      publishing.ofNative(this, binding, frame, bytes, now);
      return;
    }
    this.#context.stats.messagesIn += more.count;
    binding.credit.receive(more.bytes);
    publishing.ofBurst(binding, frame, more, bytes + more.bytes, now);
  }

  #asked(frame: Frame, now: number): void {
    if (frame.id === 0 || this.#incoming.has(frame.id)) {
      throw ipcError(
        'PEER_UNEXPECTED_FRAME',
        `REQUEST with the id ${frame.id}, which is ${frame.id === 0 ? 'not valid' : 'in use'}`,
      );
    }
    const binding = this.#binding(frame.channel);
    const request = this.#message('request', frame, now, frame.value);
    if (this.#incoming.size >= this.#context.settings.limits.requestsMax) {
      this.fail(
        request,
        ipcError('LIMIT_REQUESTS', `${this.#incoming.size} requests are outstanding on this connection`),
      );
      return;
    }
    this.#hub.requests.ofBinding(binding, request, now);
    // The answer may be large, and a thousand questions like this one may stand in the same chunk.
    this.#holdBack();
  }

  #message(type: 'request' | 'notification' | 'publish', frame: Frame, now: number, timeoutMs: number): ServerMessage {
    const epoch = this.#context.toEpoch(now);
    return new ServerMessage(
      this,
      type,
      this.#binding(frame.channel).name,
      frame,
      undefined,
      frame.id,
      epoch,
      timeoutMs > 0 ? epoch + timeoutMs : undefined,
      (frame.flags & FrameFlag.STREAM) !== 0,
      this.#context.settings.codec,
    );
  }

  publishMessage(frame: Frame, now: number): ServerMessage {
    return this.#message('publish', frame, now, 0);
  }

  #granted(frame: Frame): void {
    switch (frame.content) {
      case CreditKind.SUBSCRIPTION:
        this.#operations.grant(frame.id, frame.value);
        break;
      case CreditKind.STREAM:
        this.#incoming.get(frame.id)?.grant(frame.value);
        break;
      default:
        throw ipcError('PEER_UNEXPECTED_FRAME', `CREDIT of kind ${frame.content} has no meaning for a server`);
    }
  }

  #failed(frame: Frame): void {
    // Read first: what cannot be read ends the connection, and with it the call, which must still be known.
    const error = readError(frame);
    this.#outgoing.take(frame.id)?.fail(error);
  }

  #cancelled(id: number): void {
    const call = this.#incoming.get(id);
    if (call === undefined) return;
    const reason = ipcError('REMOTE_CANCELLED', 'the caller cancelled');
    call.abandon(reason);
    this.fail(call.request, reason);
  }

  #binding(number: number): Binding {
    const { session } = this.#connection;
    return this.#bindings.of(number, session.peerName(number), session.namesForgotten);
  }

  // --- What goes out

  send(type: number, id: number, channel: number, value: number, payload?: Uint8Array, content = 0, flags = 0): void {
    if (this.#closed) return;
    this.#context.stats.messagesOut += 1;
    this.#connection.writer.frame(type, flags, content, id, channel, value, payload);
    this.#connection.touch();
  }

  deliver(deliverable: Deliverable, id: number): void {
    this.#context.stats.messagesOut += deliverable.count;
    deliverable.deliver(this.#connection.writer, id);
    this.#connection.touch();
  }

  declareOnce(number: number, name: string): void {
    this.#names.tell(number, name);
  }

  grantPublish(channel: number, bytes: number): void {
    this.send(FrameType.CREDIT, 0, channel, bytes, undefined, CreditKind.PUBLISH);
  }

  override notify(channelId: string, payload: unknown): void {
    this.#checkOpen();
    this.checkBacklog();
    const { content, bytes } = encodePayload(payload, this.#context.settings.codec);
    const number = this.#hub.channelNumber(this.application, channelId);
    this.declareOnce(number, channelId);
    this.send(FrameType.NOTIFICATION, 0, number, 0, bytes, content);
  }

  override request(channelId: string, payload: unknown, options?: PeerRequestOptions): Promise<Message> {
    return askPeer(this, this.#hub, channelId, payload, options);
  }

  sendCall(
    call: OutgoingCall,
    channelId: string,
    content: number,
    bytes: Uint8Array,
    timeoutMs: number,
    stream: boolean,
  ): void {
    this.#checkOpen();
    this.checkBacklog();
    this.#outgoing.add(call);
    const number = this.#hub.channelNumber(this.application, channelId);
    this.declareOnce(number, channelId);
    this.send(FrameType.REQUEST, call.id, number, timeoutMs, bytes, content, stream ? FrameFlag.STREAM : 0);
  }

  cancelCall(call: OutgoingCall): void {
    if (this.#outgoing.take(call.id) !== undefined) this.send(FrameType.CANCEL, call.id, 0, 0);
  }

  grantStream(call: OutgoingCall, bytes: number): void {
    this.send(FrameType.CREDIT, call.id, 0, bytes, undefined, CreditKind.STREAM, FrameFlag.OWN_ID);
  }

  override close(error: IPCError = ipcError('REMOTE_CLOSED', 'the server closed the connection')): void {
    this.#connection.close(error);
  }

  /** Ends at once, without a word. */
  destroy(error: IPCError): void {
    this.#connection.destroy(error);
  }

  override respond(request: IncomingMessage, content: number, bytes: Uint8Array): void {
    this.send(FrameType.RESPONSE, request.wireId as number, 0, 0, bytes, content);
  }

  override fail(request: IncomingMessage, error: IPCError): void {
    this.#context.stats.errors += 1;
    this.sendError(request.wireId as number, 0, error);
  }

  override streamData(request: IncomingMessage, content: number, bytes: Uint8Array): void {
    this.send(FrameType.STREAM_DATA, request.wireId as number, 0, 0, bytes, content);
  }

  override streamEnd(request: IncomingMessage): void {
    this.send(FrameType.STREAM_END, request.wireId as number, 0, 0);
  }

  override track(request: IncomingMessage, call: IncomingCall): void {
    this.#incoming.set(request.wireId as number, call);
  }

  override answering(request: IncomingMessage): boolean {
    return this.#incoming.get(request.wireId as number)?.request === request;
  }

  override callEnded(request: IncomingMessage): void {
    const call = this.#incoming.get(request.wireId as number);
    if (call === undefined) return;
    this.#incoming.delete(request.wireId as number);
    this.#hub.requests.unwatch(call);
    this.#hub.requests.ended();
  }

  publishDone(frame: Frame, receivers: number): void {
    this.send(FrameType.OK, frame.id, 0, receivers);
  }

  publishFailed(frame: Frame, error: IPCError): void {
    this.#context.stats.errors += 1;
    this.sendError(frame.id, frame.channel, error);
  }

  sendError(id: number, channel: number, error: IPCError): void {
    this.send(FrameType.ERROR, id, channel, 0, errorFields(error));
  }

  subscriptionEnded(id: number, error: IPCError): void {
    this.#operations.forget(id);
    if (!this.#closed) this.sendError(id, 0, error);
  }

  #checkOpen(): void {
    if (this.#closed) throw ipcError('USAGE_CLOSED', `connection ${this.id} is closed`);
  }
}
