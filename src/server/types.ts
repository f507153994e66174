// What the broker's type parameters are in the server.

import type { Application } from '../broker/application.ts';
import type { Channel } from '../broker/channel.ts';
import type { Middleware as BrokerMiddleware } from '../broker/middleware.ts';
import type { Handler as BrokerHandler } from '../broker/types.ts';
import type { ServerMessage } from './message.ts';
import type { Peer } from './peer.ts';
import type { Publication } from './publication.ts';
import type { Subscriber } from './subscriber.ts';
import type { ForwardedCall } from './forwarded-call.ts';

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

export interface ServerBroker {
  readonly connection: Peer;
  readonly subscriber: Subscriber;
  readonly message: ServerMessage;
  readonly publication: Publication;
  readonly context: Peer;
  readonly request: ForwardedCall;
  readonly publishOptions: ChannelPublishOptions | undefined;
  readonly published: Published;
}

export type ServerApplication = Application<ServerBroker>;
export type ServerChannel = Channel<ServerBroker>;
export type Handler = BrokerHandler<ServerBroker>;
export type Middleware = BrokerMiddleware<ServerMessage, Peer>;
