// The public entry `isthmus/pipe`.

export { PipeError, type PipeErrorCode } from './errors.ts';
export type { PipePeer } from './inbox.ts';
export { Pipe, type PipeCallback } from './pipe.ts';
export type { PipeFormat, PipeMessage, PipeMessageInfo, PipeOptions, PipeStopReason } from './pipe-options.ts';
export { send, type SendToOptions } from './send.ts';
export { PipeSender, type PipeSenderOptions, type SendOptions } from './sender.ts';
