// Where a server is: read from the options, or from a URL, into one shape.

import { integerOption, invalidOption, stringOption } from '../base/options.ts';

/** Options of a TLS connection, as `tls.connect` takes them. */
export interface TlsOptions {
  /** Authorities to trust, as PEM, in place of the system's. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Certificate to show to the server, as PEM: for mutual TLS. */
  readonly cert?: string | Uint8Array;
  /** Private key of the certificate, as PEM. */
  readonly key?: string | Uint8Array;
  /** What the private key is encrypted with. */
  readonly passphrase?: string;
  /** Name to check the certificate against. Default: the host. */
  readonly servername?: string;
  /** Default true. False accepts any certificate: for tests only. */
  readonly rejectUnauthorized?: boolean;
}

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: TlsOptions }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'websocket'; readonly url: string; readonly tls: TlsOptions };

/** What of the client's options says where the server is. */
export interface AddressOptions {
  /** Host name or address. Default `'localhost'`. */
  readonly host?: string;
  /** 1 to 65,535. Default 8888. */
  readonly port?: number;
  /** Path of a Unix socket, or the name of a Windows pipe (`\\.\pipe\NAME`), in place of host and port. */
  readonly path?: string;
  /** `tcp://host:port`, `tls://host:port`, `unix:/path`, `ws://host:port/path` or `wss://…`, in place of all of these. */
  readonly url?: string;
  /** TLS for host and port, and its certificates. `true` uses the system's. Default false. */
  readonly tls?: boolean | TlsOptions;
}

export const DEFAULT_PORT = 8888;

export function readAddress(options: AddressOptions): Address {
  const tls = readTls(options.tls);
  if (options.url !== undefined) {
    for (const name of ['host', 'port', 'path'] as const) {
      if (options[name] !== undefined) throw invalidOption(name, options[name], 'nothing, as url is given');
    }
    return readUrl(stringOption('url', options.url, ''), tls ?? {});
  }
  if (options.path !== undefined) {
    for (const name of ['host', 'port'] as const) {
      if (options[name] !== undefined) throw invalidOption(name, options[name], 'nothing, as path is given');
    }
    return { kind: 'unix', path: stringOption('path', options.path, '') };
  }
  const host = stringOption('host', options.host, 'localhost');
  const port = integerOption('port', options.port, { default: DEFAULT_PORT, min: 1, max: 65_535 });
  return tls === undefined ? { kind: 'tcp', host, port } : { kind: 'tls', host, port, tls };
}

/** For messages to people. */
export function showAddress(address: Address): string {
  switch (address.kind) {
    case 'tcp':
    case 'tls':
      return `${address.kind}://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'unix':
      return `unix:${address.path}`;
    default:
      return address.url;
  }
}

const URL_EXPECTED = 'tcp://host:port, tls://host:port, unix:/path, ws://host or wss://host';

function readUrl(text: string, tls: TlsOptions): Address {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalidOption('url', text, URL_EXPECTED);
  }
  switch (url.protocol) {
    case 'ws:':
    case 'wss:':
      return { kind: 'websocket', url: text, tls };
    case 'unix:':
      return { kind: 'unix', path: decodeURIComponent(url.pathname) };
    case 'tcp:':
    case 'tls:': {
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
      const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
      if (host === '' || port === 0) throw invalidOption('url', text, URL_EXPECTED);
      return url.protocol === 'tcp:' ? { kind: 'tcp', host, port } : { kind: 'tls', host, port, tls };
    }
    default:
      throw invalidOption('url', text, URL_EXPECTED);
  }
}

function readTls(tls: unknown): TlsOptions | undefined {
  if (tls === undefined || tls === false) return undefined;
  if (tls === true) return {};
  if (typeof tls !== 'object' || tls === null) throw invalidOption('tls', tls, 'true, false or an object');
  return tls;
}
