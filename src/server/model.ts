// The place where the words of the server refer to each other: a connection has subscriptions and calls,
// those have messages, and messages have connections. Interfaces only; what implements them imports this
// file and never each other.

import type { IPCError } from '../base/errors.ts';
import type { Application } from '../broker/application.ts';
import type { Channel } from '../broker/channel.ts';
import type { Middleware as BrokerMiddleware } from '../broker/middleware.ts';
import type { Handler as BrokerHandler } from '../broker/types.ts';
import type { Frame } from '../protocol/codec.ts';
import type { Message } from '../protocol/messages.ts';
import type { OutboxPolicy } from '../protocol/policies.ts';
import type { Deadline } from '../session/deadlines.ts';
import type { PeerAddress } from '../transports/wire.ts';
import type { Flow } from './flow.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import type { Burst } from './burst.ts';
import type { Deliverable } from './deliverable.ts';
import type { Publication } from './publication.ts';
import type { Rate } from './rate.ts';

// --- What users see

/** How long the server waits for the answer of a client. */
export interface PeerRequestOptions {
  /** Milliseconds, 1 to 2^31-1. Default 5000. */
  readonly timeout?: number;
  /** Cancels the request, at the client too. */
  readonly signal?: AbortSignal;
}

/** One connected client, whatever protocol it speaks. */
export interface ServerConnection {
  /** Issued by the server; never what the client says. */
  readonly id: string;
  /** What an old client calls itself; a label, trusted for nothing. */
  readonly label: string | undefined;
  /** What the client calls itself; a label, trusted for nothing. */
  readonly name: string | undefined;
  /** What `authenticate` returned. */
  readonly identity: unknown;
  /** The application that it has joined. */
  readonly application: ServerApplication;
  /** The name of that application. */
  readonly appId: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
  /** Where it comes from. */
  readonly address: PeerAddress;
  /** `native`, or `json` for a client of the old protocol. */
  readonly protocol: 'native' | 'json';
  /** What a user wants to remember about the connection. */
  data: unknown;
  /** Milliseconds since the epoch. */
  readonly lastActivity: number;
  /** Bytes that came from it. */
  readonly bytesIn: number;
  /** Bytes that went to it. */
  readonly bytesOut: number;
  /** Bytes for this client which the system has not taken; beyond `outboxBytesMax` it is told nothing more. */
  readonly waitingBytes: number;
  /** Bytes that wait in the outboxes of its subscriptions. */
  readonly outboxBytes: number;

  /**
   * Sends a notification on a channel to this client alone. Throws `USAGE_CLOSED`, `USAGE_UNSERIALIZABLE`,
   * `USAGE_INVALID_NAME`; `LIMIT_OUTBOX` while more than the server's `outboxBytesMax` waits for the client.
   */
  notify(channelId: string, payload: unknown): void;
  /**
   * Asks this client and gives its answer. Rejects with what its handler threw, `REMOTE_NO_HANDLER`,
   * `REMOTE_LOST`, `TIME_OUT`, `TIME_CANCELLED`; `LIMIT_OUTBOX` as `notify` does.
   */
  request(channelId: string, payload: unknown, options?: PeerRequestOptions): Promise<Message>;
  /** Ends the connection; the client is told why. */
  close(error?: IPCError): void;
}

/** A message as handlers and middleware see it. */
export interface ServerMessage<T = unknown> extends Message<T> {
  /** Who sent it. Identity is here, never in the payload. */
  readonly connection: ServerConnection;
  /** Milliseconds since the epoch after which the caller takes no answer; undefined: none was given. */
  readonly deadline: number | undefined;
  /** Whether the caller takes a streamed response. */
  readonly takesStream: boolean;
  /** Fires when the caller cancels, its deadline passes or its connection is lost. */
  readonly signal: AbortSignal;
}

/** Options of a publish by the server. */
export interface ChannelPublishOptions {
  /** Keep as the channel's last value for late subscribers. Default: the channel's `retain`. */
  readonly retain?: boolean;
}

/** What became of a publish. */
export interface Published {
  /** Subscriptions that the message was given to. */
  readonly receivers: number;
  /** A subscriber with the policy `block` is behind: await `ready()` before the next publish. */
  readonly blocked: boolean;
  /** Resolves when no subscriber of the channel holds publishers up. */
  ready(): Promise<void>;
}

// --- What the broker's type parameters are in the server

export interface ServerBroker {
  readonly connection: ServerConnection;
  readonly subscriber: Subscriber;
  readonly message: ServerMessage;
  readonly publication: Publication;
  readonly context: ServerConnection;
  readonly request: WorkerCall;
  readonly publishOptions: ChannelPublishOptions | undefined;
  readonly published: Published;
}

/** An application of a server; `server.createApplication` makes one. */
export type ServerApplication = Application<ServerBroker>;
/** A channel of a server; `application.createChannel` makes one. */
export type ServerChannel = Channel<ServerBroker>;
/** Answers messages of one kind on a channel. What it returns, or its promise, is the response to a request; an async generator streams; what it throws reaches the caller. */
export type Handler = BrokerHandler<ServerBroker>;
/** What messages pass before their handler: it calls `next()` to let one through; a falsy result refuses it. */
export type Middleware = BrokerMiddleware<ServerMessage, ServerConnection>;

// --- What the files of the server see

/** A message with what it takes to answer it. */
export interface IncomingMessage<T = unknown> extends ServerMessage<T> {
  readonly connection: Peer;
  /** The id by which the sender's protocol knows this message. */
  readonly wireId: number | string;
  /** Makes `signal` fire. */
  abort(reason: IPCError): void;
}

/** A request of a client that is being worked on: by a handler or by a worker. */
export interface IncomingCall extends Deadline {
  readonly request: IncomingMessage;
  /** The caller takes more of the stream. */
  grant(bytes: number): void;
  /** Ends the work: the caller cancelled, its time is over or it has gone. No answer is sent after this. */
  abandon(reason: IPCError): void;
}

/** One that a worker answers. */
export interface WorkerCall extends IncomingCall {
  /** The worker is gone. */
  lost(): void;
}

/** One subscription of one connection. */
export interface Subscriber {
  readonly connection: Peer;
  /** Channel name or pattern. */
  readonly filter: string;
  readonly policy: OutboxPolicy;
  /** Messages that were dropped for this subscription. */
  readonly dropped: number;
  /** What waits for this subscription. */
  readonly waitingBytes: number;
  readonly waiting: boolean;
  /** Gives the message on or keeps it. True when the publishers of its channel must pause. */
  offer(offered: Publication | Burst): boolean;
  /** Notes that publishers of this channel wait for this subscriber. */
  holdUp(flow: Flow): void;
  /** Writes what waits, as far as it goes; to be called whenever there may be room again. */
  flush(): void;
  /** The subscription is over: nobody waits for it any more. */
  end(): void;
  /** Tells the client that the server has ended it, where its protocol has words for that. */
  tellEnded(error: IPCError): void;
}

/** One connected client as the rest of the server sees it. */
export interface Peer extends ServerConnection {
  readonly rate: Rate;
  /** The subscriptions of this connection. */
  readonly subscribers: ReadonlySet<Subscriber>;
  /** Bytes that may still wait in the outboxes of its subscriptions; 0 or less: none. */
  readonly outboxRoomBytes: number;
  /** Too much is waiting to be written. */
  readonly congested: boolean;
  /** Initial credit of a stream towards this client, in bytes. */
  readonly streamWindowBytes: number;

  addSubscriber(subscriber: Subscriber): void;
  removeSubscriber(subscriber: Subscriber): void;
  /** So many bytes more wait in the outbox of a subscription; fewer where negative. */
  outboxGrew(bytes: number): void;
  /** Writes what waits, after a time of congestion. Those served last time stand behind the others. */
  flushSubscribers(): void;
  /** Answers a request of this client with encoded bytes. */
  respond(request: IncomingMessage, content: number, bytes: Uint8Array): void;
  /** Answers a request of this client with an error. */
  fail(request: IncomingMessage, error: IPCError): void;
  streamData(request: IncomingMessage, content: number, bytes: Uint8Array): void;
  streamEnd(request: IncomingMessage): void;
  /** An answer of this request will come later. */
  track(request: IncomingMessage, call: IncomingCall): void;
  /** Whether this request of the client is still being worked on. */
  answering(request: IncomingMessage): boolean;
  /** A request of this client has ended, however. */
  callEnded(request: IncomingMessage): void;
}

/** A client that can be asked. */
export interface Worker extends Peer {
  /** Sends a request to the client; the call is told of its end. Throws `USAGE_CLOSED`. */
  sendCall(
    call: OutgoingCall,
    channelId: string,
    content: number,
    bytes: Uint8Array,
    timeoutMs: number,
    stream: boolean,
  ): void;
  /** The answer is of no use any more. */
  cancelCall(call: OutgoingCall): void;
  grantStream(call: OutgoingCall, bytes: number): void;
}

/** A client on the native protocol as its subscriptions and operations see it. */
export interface NativeReceiver extends Peer {
  /** Tells the client once what a channel number of the server stands for. */
  declareOnce(number: number, name: string): void;
  deliver(deliverable: Deliverable, id: number): void;
  send(type: number, id: number, channel: number, value: number, payload?: Uint8Array): void;
  sendError(id: number, channel: number, error: IPCError): void;
  /** A subscription of the client has been ended here. */
  subscriptionEnded(id: number, error: IPCError): void;
}

/** A client on the old protocol as its subscriptions see it. */
export interface LegacyReceiver extends Peer {
  sendBody(body: Uint8Array): void;
}

/** A client on the native protocol as its publishes see it. */
export interface NativePublisher extends Peer {
  /** Answers a publish that wanted to be answered. */
  publishDone(frame: Frame, receivers: number): void;
  /** Answers a publish that was refused; without an id the client learns of it all the same. */
  publishFailed(frame: Frame, error: IPCError): void;
  /** A publish as handlers and middleware see it. */
  publishMessage(frame: Frame, now: number): IncomingMessage;
  grantPublish(channel: number, bytes: number): void;
}
