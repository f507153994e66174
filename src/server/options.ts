// The options of a server, checked once at the door; inside, nothing is optional any more.

import { randomBytes } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import { ipcError } from '../base/errors.ts';
import { booleanOption, integerOption, invalidOption, knownOptions, stringOption } from '../base/options.ts';
import type { ApplicationOptions } from '../broker/application-options.ts';
import { DEFAULT_LIMITS, type Limits, MESSAGE_BYTES_LARGEST } from '../protocol/limits.ts';
import { codecOption, type PayloadCodec } from '../protocol/payload.ts';
import type { PeerAddress } from '../transports/wire.ts';
import type { EndpointAddress } from './listening.ts';

/** An address to listen on, besides `host` and `port`. */
export type ListenOptions =
  | {
      /** Host name or address. Default `localhost`. */
      readonly host?: string;
      /** TCP port, 0 to 65535; 0 takes a free one. */
      readonly port: number;
      /** Certificate and key; and `ca` with `requestCert` for mutual TLS. */
      readonly tls?: TlsOptions;
    }
  | {
      /** Unix socket, at most 107 bytes; on Windows a named pipe (`\\.\pipe\NAME`). */
      readonly path: string;
      /** Who may connect: a file mode. Default 0o600. A named pipe has what Windows gives it. */
      readonly mode?: number;
    };

/** What a client shows when it wants to come in. */
export interface Credentials {
  /** The application that it wants to join. */
  readonly appId: string;
  /** What it showed; undefined: nothing. */
  readonly token: string | undefined;
  readonly name: string | undefined;
  /** Where it comes from. */
  readonly address: PeerAddress;
}

/** Gives the identity of the client; throws, or gives undefined or false, to refuse it. */
export type Authenticate = (credentials: Credentials) => unknown;

/** Where the server says what nobody else can be told. `console` and pino fit. */
export interface Logger {
  /** Something went wrong that nobody awaits. */
  warn(details: unknown, message?: string): void;
}

/** Options of {@link IPCServer}. */
export interface ServerOptions {
  /** Host to listen on. Default `localhost`. Beyond localhost `authenticate`, mutual TLS or `insecure` is needed. */
  readonly host?: string;
  /** TCP port, 0 to 65535; 0 takes a free one. Default 8888. */
  readonly port?: number;
  /** Unix socket or Windows named pipe to listen on in place of TCP. */
  readonly path?: string;
  /** TLS for `host` and `port`: certificate and key, and `ca` with `requestCert` for mutual TLS. */
  readonly tls?: TlsOptions;
  /** All addresses at once, in place of `host`, `port`, `path`, `tls`. An empty list listens nowhere. */
  readonly listen?: readonly ListenOptions[];
  /** Connections at a time, 1 to 1,000,000. Default 100. One more is told `LIMIT_CONNECTIONS`. */
  readonly maxConnections?: number;
  /** Make an application when a client first names it. Default true. */
  readonly autoCreate?: boolean;
  /** Applications at a time, 1 to 1,000,000. Default 1000. */
  readonly applicationsMax?: number;
  /** What holds for each application and its channels. */
  readonly application?: Omit<ApplicationOptions, 'subscriptionsMax'>;
  /** Who may come in. Default: everybody who reaches the address. */
  readonly authenticate?: Authenticate;
  /** Listen beyond localhost without authentication. Default false. */
  readonly insecure?: boolean;
  /** Origins whose pages may open a WebSocket, or `'*'`. Default: those of the server's own host. */
  readonly origins?: readonly string[] | '*';
  /** Limits on what one client can make the server hold; see `Limits`. */
  readonly limits?: Partial<Limits>;
  /** Bytes that may wait for one client, 64 KiB to 2^31-1: in its outboxes together, and as much again that it asked for or is told. Default 16 MiB. */
  readonly outboxBytesMax?: number;
  /** Messages a second that one client may send, 0 to 10,000,000; 0 = as many as it can. Default 0. */
  readonly messagesPerSecondMax?: number;
  /** Connections at a time that have not finished the handshake, 1 to 1,000,000. Default 1000. For one more, the one that has been silent longest is cut off with `LIMIT_CONNECTIONS`. */
  readonly handshakesMax?: number;
  /** Time for the handshake in milliseconds, 10 to 600,000. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** A silent client is pinged after this many milliseconds and given up after three; 0 = never. 0 to 3,600,000. Default 30,000. */
  readonly heartbeatIntervalMs?: number;
  /** Encoding of objects. Default JSON. */
  readonly encoding?: PayloadCodec;
  /** Told of faults that no caller can be told of. Default: nobody. */
  readonly logger?: Logger;
}

/** The options after the door. */
export interface ServerSettings {
  readonly serverId: string;
  readonly addresses: readonly EndpointAddress[];
  readonly host: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly autoCreate: boolean;
  readonly applicationsMax: number | undefined;
  readonly application: ApplicationOptions;
  readonly authenticate: Authenticate | undefined;
  readonly origins: readonly string[] | '*' | undefined;
  readonly limits: Limits;
  readonly outboxBytesMax: number;
  readonly messagesPerSecondMax: number;
  readonly handshakesMax: number;
  readonly handshakeTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly codec: PayloadCodec | undefined;
  readonly logger: Logger | undefined;
}

const KNOWN = [
  ...['host', 'port', 'path', 'tls', 'listen', 'maxConnections', 'autoCreate', 'applicationsMax', 'application'],
  ...['authenticate', 'insecure', 'origins', 'limits', 'outboxBytesMax', 'messagesPerSecondMax'],
  ...['handshakesMax', 'handshakeTimeoutMs', 'heartbeatIntervalMs', 'encoding', 'logger'],
];

/** Throws `USAGE_INVALID_OPTION` or `USAGE_INSECURE`. */
export function serverSettings(options: ServerOptions): ServerSettings {
  if (typeof options !== 'object' || options === null) throw invalidOption('options', options, 'an object');
  knownOptions('server', options, KNOWN);
  if (options.authenticate !== undefined && typeof options.authenticate !== 'function') {
    throw invalidOption('authenticate', options.authenticate, 'a function');
  }
  const host = stringOption('host', options.host, 'localhost');
  const port = integerOption('port', options.port, { default: 8888, min: 0, max: 65535 });
  const addresses = addressesOf(options, host, port);
  checkSecure(addresses, options.authenticate !== undefined, booleanOption('insecure', options.insecure, false));
  return {
    serverId: randomBytes(6).toString('hex'),
    addresses,
    host,
    port,
    maxConnections: integerOption('maxConnections', options.maxConnections, { default: 100, min: 1, max: 1_000_000 }),
    autoCreate: booleanOption('autoCreate', options.autoCreate, true),
    applicationsMax: options.applicationsMax,
    application: options.application ?? {},
    authenticate: options.authenticate,
    origins: options.origins,
    limits: limitsOf(options.limits ?? {}),
    outboxBytesMax: integerOption('outboxBytesMax', options.outboxBytesMax, {
      default: 16 * 1024 * 1024,
      min: 64 * 1024,
      max: 2 ** 31 - 1,
    }),
    messagesPerSecondMax: integerOption('messagesPerSecondMax', options.messagesPerSecondMax, {
      default: 0,
      min: 0,
      max: 10_000_000,
    }),
    handshakesMax: integerOption('handshakesMax', options.handshakesMax, { default: 1000, min: 1, max: 1_000_000 }),
    handshakeTimeoutMs: integerOption('handshakeTimeoutMs', options.handshakeTimeoutMs, {
      default: 10_000,
      min: 10,
      max: 600_000,
    }),
    heartbeatIntervalMs: integerOption('heartbeatIntervalMs', options.heartbeatIntervalMs, {
      default: 30_000,
      min: 0,
      max: 3_600_000,
    }),
    codec: codecOption(options.encoding),
    logger: options.logger,
  };
}

function addressesOf(options: ServerOptions, host: string, port: number): readonly EndpointAddress[] {
  if (options.listen !== undefined) {
    if (!Array.isArray(options.listen)) throw invalidOption('listen', options.listen, 'a list of addresses');
    return options.listen.map((one: ListenOptions, index) => addressOf(one, `listen[${index}].`));
  }
  if (options.path !== undefined) return [addressOf({ path: options.path }, '')];
  return [addressOf({ host, port, ...(options.tls === undefined ? {} : { tls: options.tls }) }, '')];
}

function addressOf(one: ListenOptions, where: string): EndpointAddress {
  if ('path' in one) {
    knownOptions(where, one, ['path', 'mode']);
    const mode = integerOption(`${where}mode`, one.mode, { default: 0o600, min: 0, max: 0o777 });
    return { kind: 'unix', path: stringOption(`${where}path`, one.path, ''), mode };
  }
  knownOptions(where, one, ['host', 'port', 'tls']);
  const host = stringOption(`${where}host`, one.host, 'localhost');
  const port = integerOption(`${where}port`, one.port, { default: 8888, min: 0, max: 65535 });
  return one.tls === undefined ? { kind: 'tcp', host, port } : { kind: 'tls', host, port, tls: one.tls };
}

/** Safe by default: whoever can reach the machine must not reach the server by accident. */
function checkSecure(addresses: readonly EndpointAddress[], authenticated: boolean, insecure: boolean): void {
  if (authenticated || insecure) return;
  for (const address of addresses) {
    if (address.kind === 'unix' || isLoopback(address.host)) continue;
    if (address.kind === 'tls' && address.tls.requestCert === true && address.tls.rejectUnauthorized !== false)
      continue;
    throw ipcError(
      'USAGE_INSECURE',
      `listening on ${address.host} lets other machines in: give authenticate, mutual TLS, or insecure: true`,
      { details: { host: address.host } },
    );
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function limitsOf(given: Partial<Limits>): Limits {
  knownOptions('limits', given, Object.keys(DEFAULT_LIMITS));
  const whole = (name: keyof Limits, min: number, max: number): number =>
    integerOption(`limits.${name}`, given[name], { default: DEFAULT_LIMITS[name], min, max });
  return {
    messageBytesMax: whole('messageBytesMax', 1024, MESSAGE_BYTES_LARGEST),
    subscriptionsMax: whole('subscriptionsMax', 1, 1_000_000),
    declaredChannelsMax: whole('declaredChannelsMax', 1, 1_000_000),
    requestsMax: whole('requestsMax', 1, 10_000_000),
    partialMessagesMax: whole('partialMessagesMax', 1, 1000),
    publishWindowBytes: whole('publishWindowBytes', 1024, 2 ** 31 - 1),
    streamWindowBytes: whole('streamWindowBytes', 1024, 2 ** 31 - 1),
  };
}

/** Options from `IPC_HOST`, `IPC_PORT`, `IPC_MAX_CONNECTIONS`; and `IPC_TIMEOUT`, in seconds as in the original, for clients. */
export function configFromEnv(env: Readonly<Record<string, string | undefined>> = process.env): {
  readonly host?: string;
  readonly port?: number;
  readonly maxConnections?: number;
  readonly timeout?: number;
} {
  const number = (name: string, factor = 1): number | undefined => {
    const text = env[name];
    if (text === undefined || text === '') return undefined;
    const value = Number(text) * factor;
    if (!Number.isFinite(value) || value < 0) throw invalidOption(name, text, 'a number that is not negative');
    return value;
  };
  const host = env['IPC_HOST'];
  const port = number('IPC_PORT');
  const maxConnections = number('IPC_MAX_CONNECTIONS');
  const timeout = number('IPC_TIMEOUT', 1000);
  return {
    ...(host === undefined || host === '' ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}
