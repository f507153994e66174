// The options of a client, checked at the door: behind it nothing is optional any more.

import {
  booleanOption,
  choiceOption,
  integerOption,
  invalidOption,
  knownOptions,
  signalOption,
  stringOption,
} from '../base/options.ts';
import { encodeBase64 } from '../protocol/base64.ts';
import { DEFAULT_LIMITS, HANDSHAKE_BYTES_MAX, type Limits, MESSAGE_BYTES_LARGEST } from '../protocol/limits.ts';
import { checkApplicationId, checkChannelName } from '../protocol/names.ts';
import { type AnyContract, Contract } from '../protocol/contract.ts';
import { codecOption, encodePayload, type PayloadCodec } from '../protocol/payload.ts';
import { writeFields } from '../session/session.ts';
import { pythonCodec } from './legacy-codec.ts';
import { type Address, type AddressOptions, readAddress } from './address.ts';

/** Options of {@link IPCClient}. All durations are milliseconds. */
export interface ClientOptions<C = AnyContract> extends AddressOptions {
  /** Credentials, shown to the server with the handshake. */
  readonly token?: string;
  /** Shown to others in presence. */
  readonly name?: string;
  /** Published by the server when this client is lost without a goodbye. */
  readonly will?: { readonly channel: string; readonly payload: unknown };
  /** For connecting, handshake included. 1 to 600,000. Default 10,000. */
  readonly connectionTimeout?: number;
  /** Come back after a loss. Default true. */
  readonly reconnect?: boolean;
  /** Attempts in a row before giving up: 0 to 1,000,000, or `Infinity`; a connection that did not last as long as the longest wait before it counts as one. Default 5. */
  readonly reconnectAttempts?: number;
  /** The mean of the first wait is half of this; it doubles up to 30,000, with full jitter. 1 to 30,000. Default 2,000. */
  readonly reconnectDelay?: number;
  /** A silent server is pinged after this long, and taken for dead after three: 0 to 86,400,000; 0 = never. Default 30,000. */
  readonly heartbeatInterval?: number;
  /** Time-out of requests that name none: 0 to 2^31-1; 0 = none. Default 5,000. */
  readonly requestTimeout?: number;
  /** What is asked for while there is no connection, before the first `connect()` too, waits for it, or fails with `USAGE_NOT_CONNECTED`. Default `'wait'`. */
  readonly offline?: 'wait' | 'fail';
  /** Bytes that may wait for the connection, 1 KiB to 1 GiB. Default 4 MiB. */
  readonly offlineQueueBytesMax?: number;
  /** Bytes published that may wait for credit, 1 KiB to 1 GiB. Default 4 MiB. */
  readonly publishQueueBytesMax?: number;
  /** Bytes of requests and notifications that the system has not taken, 1 KiB to 1 GiB. Default 64 MiB. */
  readonly outboxBytesMax?: number;
  /** Validators of what travels on the channels; see `defineContract`. */
  readonly contract?: Contract<C>;
  /** In place of JSON for what is neither bytes nor text: MessagePack, for example. */
  readonly encoding?: PayloadCodec;
  /** `'native'`, or `'json'` to speak with a server of the original Python package. Default `'native'`. */
  readonly protocol?: 'native' | 'json';
  /** Bounds on what the server can make this client hold. */
  readonly limits?: Partial<
    Pick<Limits, 'messageBytesMax' | 'declaredChannelsMax' | 'requestsMax' | 'streamWindowBytes'>
  >;
  /** Disconnects when it fires. */
  readonly signal?: AbortSignal;
}

/** The options with every default in place. */
export interface ClientSettings {
  readonly appId: string;
  readonly address: Address;
  readonly hello: object;
  readonly connectionTimeoutMs: number;
  readonly reconnect: boolean;
  readonly reconnectAttempts: number;
  readonly reconnectDelayMs: number;
  readonly heartbeatIntervalMs: number;
  readonly requestTimeoutMs: number;
  readonly offline: 'wait' | 'fail';
  readonly offlineQueueBytesMax: number;
  readonly publishQueueBytesMax: number;
  readonly outboxBytesMax: number;
  readonly codec: PayloadCodec | undefined;
  readonly contract: Contract<unknown> | undefined;
  readonly protocol: 'native' | 'json';
  readonly limits: Limits;
  readonly signal: AbortSignal | undefined;
}

export const TIMEOUT_MS_MAX = 0x7fff_ffff;
export const RECONNECT_DELAY_MS_MAX = 30_000;
export const BYTES_MAX = 0x4000_0000;
const MIB = 1024 * 1024;

const KNOWN = [
  ...['host', 'port', 'path', 'url', 'tls', 'token', 'name', 'will', 'connectionTimeout', 'reconnect'],
  ...['reconnectAttempts', 'reconnectDelay', 'heartbeatInterval', 'requestTimeout', 'offline', 'offlineQueueBytesMax'],
  ...['publishQueueBytesMax', 'outboxBytesMax', 'encoding', 'protocol', 'limits', 'signal', 'contract'],
];
const KNOWN_LIMITS = ['messageBytesMax', 'declaredChannelsMax', 'requestsMax', 'streamWindowBytes'];

export function readClientOptions(appId: string, options: ClientOptions<unknown>): ClientSettings {
  checkApplicationId(appId);
  if (typeof options !== 'object' || options === null) throw invalidOption('options', options, 'an object');
  knownOptions('options', options, KNOWN);
  const limits = readLimits(options.limits);
  const milliseconds = (name: keyof ClientOptions<unknown>, fallback: number, min: number, max: number) =>
    integerOption(name, options[name], { default: fallback, min, max });
  const bytes = (name: keyof ClientOptions<unknown>, fallback: number) =>
    integerOption(name, options[name], { default: fallback, min: 1024, max: BYTES_MAX });
  const address = readAddress(options);
  if (options.protocol === 'json' && address.kind === 'websocket') {
    throw invalidOption('url', address.url, "an address of TCP, TLS or a Unix socket, with protocol 'json'");
  }
  return {
    appId,
    address,
    hello: helloFields(appId, options, limits),
    connectionTimeoutMs: milliseconds('connectionTimeout', 10_000, 1, 600_000),
    reconnect: booleanOption('reconnect', options.reconnect, true),
    reconnectAttempts:
      options.reconnectAttempts === Number.POSITIVE_INFINITY
        ? Number.POSITIVE_INFINITY
        : milliseconds('reconnectAttempts', 5, 0, 1_000_000),
    reconnectDelayMs: milliseconds('reconnectDelay', 2000, 1, RECONNECT_DELAY_MS_MAX),
    heartbeatIntervalMs: milliseconds('heartbeatInterval', 30_000, 0, 86_400_000),
    requestTimeoutMs: milliseconds('requestTimeout', 5000, 0, TIMEOUT_MS_MAX),
    offline: choiceOption('offline', options.offline, ['wait', 'fail'], 'wait'),
    offlineQueueBytesMax: bytes('offlineQueueBytesMax', 4 * MIB),
    publishQueueBytesMax: bytes('publishQueueBytesMax', 4 * MIB),
    outboxBytesMax: bytes('outboxBytesMax', 64 * MIB),
    codec: options.protocol === 'json' ? legacyCodec(options) : codecOption(options.encoding),
    contract: readContract(options.contract),
    protocol: choiceOption('protocol', options.protocol, ['native', 'json'], 'native'),
    limits,
    signal: signalOption('signal', options.signal),
  };
}

/** A time-out of one operation; undefined where it is not given. */
export function timeoutOption(value: unknown, fallback: number): number {
  return value === undefined
    ? fallback
    : integerOption('timeout', value, { default: fallback, min: 0, max: TIMEOUT_MS_MAX });
}

function helloFields(appId: string, options: ClientOptions<unknown>, limits: Limits): object {
  const hello = {
    app: appId,
    ...(options.name === undefined ? {} : { name: stringOption('name', options.name, '') }),
    ...(options.token === undefined ? {} : { token: stringOption('token', options.token, '') }),
    client: 'isthmus',
    capabilities: ['streams', 'credit', 'fragments'],
    messageBytesMax: limits.messageBytesMax,
    streamWindowBytes: limits.streamWindowBytes,
    ...(options.will === undefined ? {} : { will: willFields(options.will, codecOption(options.encoding)) }),
  };
  const bytes = writeFields(hello).length;
  if (bytes > HANDSHAKE_BYTES_MAX - 1024) {
    throw invalidOption(
      'token, name and will',
      `${bytes} bytes`,
      `at most ${HANDSHAKE_BYTES_MAX - 1024} bytes together`,
    );
  }
  return hello;
}

function willFields(will: unknown, codec: PayloadCodec | undefined): object {
  if (typeof will !== 'object' || will === null || !('channel' in will) || !('payload' in will)) {
    throw invalidOption('will', will, 'an object with channel and payload');
  }
  knownOptions('will', will, ['channel', 'payload']);
  checkChannelName(will.channel);
  const { content, bytes } = encodePayload(will.payload, codec);
  return { channel: will.channel, content, payload: encodeBase64(bytes) };
}

function readContract(contract: unknown): Contract<unknown> | undefined {
  if (contract === undefined || contract instanceof Contract) return contract;
  throw invalidOption('contract', contract, 'what defineContract gives');
}

function legacyCodec({ encoding, will }: ClientOptions<unknown>): PayloadCodec {
  if (encoding !== undefined) throw invalidOption('encoding', 'given', "nothing with protocol 'json'");
  if (will !== undefined) throw invalidOption('will', 'given', "nothing with protocol 'json'");
  return pythonCodec;
}

function readLimits(limits: ClientOptions['limits']): Limits {
  if (limits === undefined) return DEFAULT_LIMITS;
  if (typeof limits !== 'object' || limits === null) throw invalidOption('limits', limits, 'an object');
  knownOptions('limits', limits, KNOWN_LIMITS);
  const one = (name: keyof typeof limits, min: number, max: number) =>
    integerOption(`limits.${name}`, limits[name], { default: DEFAULT_LIMITS[name], min, max });
  return {
    ...DEFAULT_LIMITS,
    messageBytesMax: one('messageBytesMax', 1024, MESSAGE_BYTES_LARGEST),
    declaredChannelsMax: one('declaredChannelsMax', 1, 1_000_000),
    requestsMax: one('requestsMax', 1, 1_000_000),
    streamWindowBytes: one('streamWindowBytes', 1024, BYTES_MAX),
  };
}
