// Options of a shared-memory channel, checked at the door.

import { ipcError } from '../base/errors.ts';
import {
  booleanOption,
  choiceOption,
  integerOption,
  invalidOption,
  knownOptions,
  signalOption,
} from '../base/options.ts';

/** ROUTE: one producer at a time. CHANNEL: many. Both reach every receiver. */
export const ChannelType = { ROUTE: 0, CHANNEL: 1 } as const;
export type ChannelType = (typeof ChannelType)[keyof typeof ChannelType];

/** What a handle may do; the flags add up. */
export const ConnMode = { SENDER: 1, RECEIVER: 2, BOTH: 3 } as const;
export type ConnMode = (typeof ConnMode)[keyof typeof ConnMode];

/** What happens when the slowest receiver of a channel is a ring behind. */
export type SlowPolicy = 'block' | 'drop-oldest' | 'evict-after';
/** How a receiver waits for the next message. */
export type WaitMode = 'sleep' | 'spin' | 'busy';

/** Options of a shared-memory channel. The first who opens a name decides what concerns the region. */
export interface ShmChannelOptions {
  /** Size of the ring in bytes, rounded up to a power of two; 4,096 to 1 GiB, default 1 MiB. Concerns the region. */
  readonly capacityBytes?: number;
  /**
   * What happens when the slowest receiver is a ring behind: the sender waits (`block`, default), the oldest
   * messages go and the receiver learns how many (`drop-oldest`), or the receiver goes after `evictAfterMs`
   * (`evict-after`). Concerns the region; left out, it is taken as the region has it.
   */
  readonly policy?: SlowPolicy;
  /** For `evict-after`: how long a full ring is borne, in ms; 1 to 3,600,000, default 1,000. Concerns the region. */
  readonly evictAfterMs?: number;
  /** How many messages a late receiver begins with, as far as the ring still holds them; 0 to 1,000,000, default 0. Concerns the region. */
  readonly history?: number;
  /** The channel keeps one value: a receiver gets the newest, a late one gets it at once. Default false. Concerns the region. */
  readonly latest?: boolean;
  /** Members of the process's group may open the channel too. Default false: this user alone. Not on Windows and macOS. */
  readonly group?: boolean;
  /** How a receiver waits: `sleep`, `spin` (default: spins `spinMicros`, then sleeps) or `busy` (never sleeps). */
  readonly wait?: WaitMode;
  /** How long `spin` spins before it sleeps, in µs; 1 to 10,000, default 50. Spins that find nothing become rare. */
  readonly spinMicros?: number;
  /** The handle receives what it sent itself. Default false. */
  readonly echo?: boolean;
  /** What others see of this handle, at most 40 bytes. Default empty. */
  readonly peerName?: string;
  /** Open only what somebody is in already; else it is `USAGE_NO_CHANNEL`. Default false. */
  readonly mustExist?: boolean;
}

export interface ResolvedOptions {
  readonly capacityBytes: number;
  readonly policy: SlowPolicy;
  readonly evictAfterMs: number;
  readonly history: number;
  readonly latest: boolean;
  readonly group: boolean;
  readonly wait: WaitMode;
  readonly spinMicros: number;
  readonly echo: boolean;
  readonly peerName: string;
  readonly mustExist: boolean;
  readonly anyPolicy: boolean;
}

const KNOWN: readonly (keyof ShmChannelOptions)[] = [
  'capacityBytes',
  'policy',
  'evictAfterMs',
  'history',
  'latest',
  'group',
  'wait',
  'spinMicros',
  'echo',
  'peerName',
  'mustExist',
];

/** Of one message, over every channel that is not a latest one. */
export const MAX_MESSAGE_BYTES = 2 ** 30;

export const POLICIES: readonly SlowPolicy[] = ['block', 'drop-oldest', 'evict-after'];

export function resolveOptions(options: ShmChannelOptions): ResolvedOptions {
  knownOptions('IPCChannel', options, KNOWN);
  const capacity = integerOption('capacityBytes', options.capacityBytes, {
    default: 1 << 20,
    min: 4096,
    max: 1 << 30,
  });
  const latest = booleanOption('latest', options.latest, false);
  const policy = choiceOption('policy', options.policy, POLICIES, latest ? 'drop-oldest' : 'block');
  if (latest && policy !== 'drop-oldest') {
    throw invalidOption('policy', policy, "'drop-oldest', because a latest channel keeps one value");
  }
  const history = integerOption('history', options.history, { default: latest ? 1 : 0, min: 0, max: 1_000_000 });
  const peerName = options.peerName ?? '';
  if (typeof peerName !== 'string' || Buffer.byteLength(peerName) > 40) {
    throw invalidOption('peerName', peerName, 'a text of at most 40 bytes');
  }
  return {
    capacityBytes: 2 ** Math.ceil(Math.log2(capacity)),
    policy,
    evictAfterMs: integerOption('evictAfterMs', options.evictAfterMs, { default: 1000, min: 1, max: 3_600_000 }),
    history,
    latest,
    group: groupOption(options.group),
    wait: choiceOption('wait', options.wait, ['sleep', 'spin', 'busy'], 'spin'),
    spinMicros: integerOption('spinMicros', options.spinMicros, { default: 50, min: 1, max: 10_000 }),
    echo: booleanOption('echo', options.echo, false),
    peerName,
    mustExist: booleanOption('mustExist', options.mustExist, false),
    anyPolicy: options.policy === undefined && options.latest === undefined,
  };
}

/** The folders of Windows and macOS that hold channels are the user's alone. */
const HAS_GROUPS = process.platform !== 'win32' && process.platform !== 'darwin';

export function groupOption(value: unknown): boolean {
  const group = booleanOption('group', value, false);
  if (group && !HAS_GROUPS) throw invalidOption('group', group, `false on ${process.platform}`);
  return group;
}

export function checkType(type: unknown): ChannelType {
  if (type !== ChannelType.ROUTE && type !== ChannelType.CHANNEL) {
    throw invalidOption('type', type, 'ChannelType.ROUTE or ChannelType.CHANNEL');
  }
  return type;
}

export function checkMode(mode: unknown): ConnMode {
  if (mode !== ConnMode.SENDER && mode !== ConnMode.RECEIVER && mode !== ConnMode.BOTH) {
    throw invalidOption('mode', mode, 'ConnMode.SENDER, ConnMode.RECEIVER or both added up');
  }
  return mode;
}

const MAX_FILE_NAME_BYTES = 180;

/** Where file names that differ only in the case of letters are one; channels of such names are two. */
const CASELESS = process.platform === 'win32' || process.platform === 'darwin';

/**
 * The name as a file name can hold it: letters, digits, `.`, `_` and `-` stay, other bytes become %XX; so do
 * capital letters where files are `caseless`.
 */
export function encodeName(name: unknown, caseless: boolean = CASELESS): string {
  if (typeof name !== 'string' || name === '') {
    throw ipcError('USAGE_INVALID_NAME', 'the name of a channel is a text that is not empty', { details: { name } });
  }
  // Each half of a pair would be written as the same three bytes.
  if (Buffer.from(name).toString() !== name) {
    throw ipcError('USAGE_INVALID_NAME', 'the name of a channel has halves of surrogate pairs', { details: { name } });
  }
  let encoded = '';
  for (const byte of Buffer.from(name)) {
    const plain = (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 122);
    const capital = byte >= 65 && byte <= 90;
    if (plain || (capital && !caseless) || byte === 45 || byte === 46 || byte === 95)
      encoded += String.fromCharCode(byte);
    else encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  if (encoded.length > MAX_FILE_NAME_BYTES) {
    throw ipcError(
      'USAGE_INVALID_NAME',
      `the name of a channel is at most ${MAX_FILE_NAME_BYTES} bytes as a file name`,
      {
        details: { name, bytes: encoded.length },
      },
    );
  }
  return encoded;
}

export function decodeName(encoded: string): string {
  return Buffer.from(
    encoded.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
}

/** How long a call on a shared-memory channel waits. */
export interface ShmWaitOptions {
  /** How long to wait at most, in ms. Default: without limit. 0: one attempt. */
  readonly timeoutMs?: number;
  /** Ends the wait with `TIME_CANCELLED`; with `TIME_OUT` when it is one of `AbortSignal.timeout`. */
  readonly signal?: AbortSignal;
}

export interface ResolvedWait {
  /** Infinity: without limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const TIMER_MS_MAX = 0x7fff_ffff;
export const FOREVER: ResolvedWait = { timeoutMs: Number.POSITIVE_INFINITY, signal: undefined };

/** A number is a time-out in ms, as in libipc. */
export function resolveWait(options: ShmWaitOptions | number | undefined): ResolvedWait {
  if (options === undefined) return FOREVER;
  const given: ShmWaitOptions = typeof options === 'number' ? { timeoutMs: options } : options;
  knownOptions('wait', given, ['timeoutMs', 'signal']);
  const { timeoutMs } = given;
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || !(timeoutMs >= 0))) {
    throw invalidOption('timeoutMs', timeoutMs, 'a number of milliseconds from 0');
  }
  // A timer that is set for longer than this fires at once.
  const limited = timeoutMs !== undefined && timeoutMs <= TIMER_MS_MAX;
  return {
    timeoutMs: limited ? timeoutMs : Number.POSITIVE_INFINITY,
    signal: signalOption('signal', given.signal),
  };
}
