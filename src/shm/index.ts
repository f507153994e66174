// The public entry `isthmus/shm`.

export type { Sendable } from './arguments.ts';
export {
  IPCChannel,
  type ShmChannelEvents,
} from './channel.ts';
export {
  ChannelType,
  ConnMode,
  type ShmChannelOptions,
  type SlowPolicy,
  type WaitMode,
  type ShmWaitOptions,
} from './options.ts';
export type { Peer } from './presence.ts';
export type { HandlerOptions, MessageHandler, MessageInfo } from './receiver.ts';
export { IPCStatus, type ShmError } from './status.ts';
export {
  type ChannelEntry,
  type ChannelReport,
  clearChannelStorage,
  inspect,
  list,
  receiveMessage,
  sendMessage,
} from './storage.ts';
export { Loan, MessageView } from './view.ts';
