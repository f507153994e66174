// The public entry `isthmus/server`.

import { ServerMessage as ServerMessageClass } from './message.ts';
import type { ServerMessage as ServerMessageModel } from './model.ts';

export {
  AbortError,
  AuthenticationError,
  ApplicationError,
  ChannelError,
  ConnectionError,
  IPCError,
  RoutingError,
  SerializationError,
  TimeoutError,
} from '../base/errors.ts';
export { ERROR_CODES, type ErrorCode } from '../base/error-codes.ts';
export type { ApplicationOptions } from '../broker/application-options.ts';
export type { ChannelOptions } from '../broker/channel-options.ts';
export { ContentType } from '../protocol/frame-types.ts';
export type { PayloadCodec } from '../protocol/payload.ts';
export type { Limits } from '../protocol/limits.ts';
export { Application } from '../broker/application.ts';
export { Channel } from '../broker/channel.ts';
export { Message, MessageType } from '../protocol/messages.ts';
export { type ConnectionManager, MemoryConnectionManager } from './connection-manager.ts';
export { configFromEnv, type Credentials, type ListenOptions, type Logger, type ServerOptions } from './options.ts';
export type { PresenceNews } from './presence-channel.ts';
export { IPCServer, IPCServer as FrameworkServer, type ServerEvents, type StopOptions } from './server.ts';
export type { StatsSnapshot } from './stats.ts';
export type {
  Handler,
  Middleware,
  Published,
  ChannelPublishOptions,
  ServerApplication,
  ServerChannel,
  ServerConnection,
} from './model.ts';

/** The type is what handlers are given; the value is the class of it, for `instanceof`. */
export const ServerMessage = ServerMessageClass;
export type ServerMessage<T = unknown> = ServerMessageModel<T>;
