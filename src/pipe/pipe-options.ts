// What a listener can be told, checked at the door.

import {
  booleanOption,
  choiceOption,
  integerOption,
  invalidOption,
  knownOptions,
  signalOption,
  stringOption,
} from '../base/options.ts';
import type { PipePeer, StopReason } from './inbox.ts';

/** How messages reach the callback. */
export type PipeFormat = 'text' | 'bytes' | 'either';

/** The type of a message in each format. */
export type PipeMessage<F extends PipeFormat> = F extends 'text'
  ? string
  : F extends 'bytes'
    ? Buffer
    : string | Buffer;

/** What is known of a message besides its content. */
export interface PipeMessageInfo {
  /** Whether it came from a sender of this package or from one that speaks the format of PipeCom. */
  readonly from: PipePeer;
  /** The `id` that the sender gave, if it gave one. */
  readonly id: string | undefined;
}

/** Why a listener stopped. */
export type PipeStopReason = StopReason;

/** Options of {@link Pipe}. */
export interface PipeOptions<F extends PipeFormat = PipeFormat> {
  /** The directory that a relative name is in. Default: the working directory when the `Pipe` is made. */
  readonly directory?: string | undefined;
  /** Permissions of the FIFOs, 0 to 0o777, whatever the umask says. Default 0o600: this user alone. */
  readonly mode?: number | undefined;
  /** Milliseconds without a message after which the listener stops: 0 to 2,147,483,647. Default 0: never. */
  readonly timeout?: number | undefined;
  /** Messages after which the listener stops, the die code not counted: 0 to 2^53 − 1. Default 0: no limit. */
  readonly maxMessages?: number | undefined;
  /** The message that stops the listener; `null`: none does. Default `PIPECOM_DIE`. */
  readonly dieCode?: string | null | undefined;
  /** True: listening does not keep the process alive. Default true. */
  readonly daemon?: boolean | undefined;
  /** What the callback returns is sent there: text and bytes as they are, objects as JSON, null and undefined not at all. Default: nowhere. */
  readonly responsePipeName?: string | undefined;
  /** Bytes that the kernel is asked to hold for each sender: 0 to 1,048,576; 0 leaves its default. Linux only. Default 0. */
  readonly bufferSize?: number | undefined;
  /** Messages that are processed at the same time: 1 to 1,024. Default 1: in the order of arrival. */
  readonly concurrency?: number | undefined;
  /** `text`: strings, and bytes that are no UTF-8 are refused. `bytes`: Buffers. `either`: as it was sent. Default `text`. */
  readonly format?: F | undefined;
  /** The largest message in bytes: 1 to 1,073,741,824. Default 67,108,864. */
  readonly maxMessageBytes?: number | undefined;
  /** Senders that may be there at once: 1 to 65,536. Default 1,000. Each takes two descriptors. */
  readonly maxSenders?: number | undefined;
  /** Acknowledged ids that are remembered, so that a retry is not processed twice: 0 to 10,000,000. Default 10,000. */
  readonly rememberedIds?: number | undefined;
  /** Stops the listener when it fires. */
  readonly signal?: AbortSignal | undefined;
  /** Told what has nobody else to go to: a response that could not be sent. Default: a process warning. */
  readonly onError?: ((error: Error) => void) | undefined;
}

const KNOWN = [
  'directory',
  'mode',
  'timeout',
  'maxMessages',
  'dieCode',
  'daemon',
  'responsePipeName',
  'bufferSize',
  'concurrency',
  'format',
  'maxMessageBytes',
  'maxSenders',
  'rememberedIds',
  'signal',
  'onError',
];

const FORMATS: readonly PipeFormat[] = ['text', 'bytes', 'either'];

export type ResolvedPipeOptions = ReturnType<typeof resolvePipeOptions>;

export function resolvePipeOptions(options: PipeOptions) {
  knownOptions('Pipe', options, KNOWN);
  const integer = (name: 'mode' | 'timeout' | 'maxMessages' | 'bufferSize', max: number, fallback: number) =>
    integerOption(name, options[name], { default: fallback, min: 0, max });
  const atLeastOne = (name: 'concurrency' | 'maxMessageBytes' | 'maxSenders', max: number, fallback: number) =>
    integerOption(name, options[name], { default: fallback, min: 1, max });
  return {
    directory: stringOption('directory', options.directory, process.cwd()),
    mode: integer('mode', 0o777, 0o600),
    timeoutMs: integer('timeout', 2_147_483_647, 0),
    maxMessages: integer('maxMessages', Number.MAX_SAFE_INTEGER, 0),
    dieCode: options.dieCode === null ? undefined : stringOption('dieCode', options.dieCode, 'PIPECOM_DIE'),
    daemon: booleanOption('daemon', options.daemon, true),
    responsePipeName: options.responsePipeName,
    bufferBytes: integer('bufferSize', 1_048_576, 0),
    concurrency: atLeastOne('concurrency', 1_024, 1),
    format: choiceOption('format', options.format, FORMATS, 'text'),
    maxMessageBytes: atLeastOne('maxMessageBytes', 1_073_741_824, 67_108_864),
    maxSenders: atLeastOne('maxSenders', 65_536, 1_000),
    rememberedIds: integerOption('rememberedIds', options.rememberedIds, { default: 10_000, min: 0, max: 10_000_000 }),
    signal: signalOption('signal', options.signal),
    onError: errorHandler(options.onError),
  };
}

function errorHandler(given: ((error: Error) => void) | undefined): (error: Error) => void {
  if (given === undefined) return (error) => process.emitWarning(error);
  if (typeof given !== 'function') throw invalidOption('onError', given, 'a function');
  return given;
}
