// The public entry of the client: `isthmus/client`.

export {
  AbortError,
  ApplicationError,
  AuthenticationError,
  ChannelError,
  ConnectionError,
  IPCError,
  RoutingError,
  SerializationError,
  TimeoutError,
} from '../base/errors.ts';
export type { ErrorCode } from '../base/error-codes.ts';
export { type AnyContract, type Contract, type ContractSchemas, defineContract } from '../protocol/contract.ts';
export { Message, type MessageDict, type MessageFields, MessageType } from '../protocol/messages.ts';
export { ContentType } from '../protocol/frame-types.ts';
export type { PayloadCodec } from '../protocol/payload.ts';
export type { OutboxPolicy } from '../protocol/policies.ts';
export type { TlsOptions } from './address.ts';
export type { PublishOptions, RequestOptions, SendRequestOptions, ServeOptions } from './operation-options.ts';
export type { ClientEvents } from './core.ts';
export type { ConnectionInfo, Health } from './info.ts';
export { FrameworkClient, IPCClient } from './ipc-client.ts';
export type { ClientState } from './lifecycle.ts';
export type { Disposer } from './listeners.ts';
export type { ResponseCallback } from './message-calls.ts';
export type { ClientOptions } from './options.ts';
export type { ResponseStream } from './response-stream.ts';
export type { HandlerContext, RequestHandler } from './serving.ts';
export type { MessageHandler, SubscribeOptions, Subscription } from './subscription.ts';
