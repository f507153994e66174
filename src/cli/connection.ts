// Where the server is: the options that all commands share, and how a client of the command comes to it.

import type { ClientOptions, IPCClient } from '../client/index.ts';
import { type Input, type OptionTable, UsageFault } from './command.ts';

export const ADDRESS_OPTIONS = {
  host: {
    kind: 'text',
    placeholder: 'HOST',
    default: 'localhost',
    help: 'Host of the server',
    env: 'IPC_HOST',
    file: true,
  },
  port: {
    kind: 'integer',
    placeholder: 'PORT',
    min: 0,
    max: 65_535,
    default: 8888,
    help: 'TCP port of the server',
    env: 'IPC_PORT',
    file: true,
  },
  path: {
    kind: 'text',
    placeholder: 'FILE',
    help: 'Unix socket of the server, or Windows pipe, in place of host and port',
    names: 'file',
    file: true,
  },
  token: {
    kind: 'text',
    placeholder: 'TOKEN',
    help: 'Secret that lets clients in; other users of the machine see flags, so the variable is better',
    env: 'ISTHMUS_TOKEN',
    file: true,
    secret: true,
  },
} as const satisfies OptionTable;

export const CLIENT_OPTIONS = {
  app: { kind: 'text', placeholder: 'APP', short: 'a', default: 'demo', help: 'Application to join', file: true },
  ...ADDRESS_OPTIONS,
  port: { ...ADDRESS_OPTIONS.port, min: 1 },
  url: {
    kind: 'text',
    placeholder: 'URL',
    help: 'Server as tcp://host:port, tls://…, unix:/path, ws://… or wss://…, in place of all these',
    file: true,
  },
} as const satisfies OptionTable;

type AddressInput = Input<typeof ADDRESS_OPTIONS> & { readonly values: { readonly url?: string | undefined } };
export type Place =
  | { readonly url: string }
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

const RANK = { default: 0, file: 1, environment: 2, flag: 3 } as const;

/** One place out of all sources: the kind of address that the strongest source names. Throws a `UsageFault`. */
export function placeOf({ values, sources }: AddressInput): Place {
  const all: Readonly<Record<string, keyof typeof RANK | undefined>> = sources;
  const rank = (name: string): number => RANK[all[name] ?? 'default'];
  const kinds = [
    { flag: '--url', rank: rank('url') },
    { flag: '--path', rank: rank('path') },
    { flag: rank('port') >= rank('host') ? '--port' : '--host', rank: Math.max(rank('host'), rank('port')) },
  ].sort((a, b) => b.rank - a.rank);
  const [first, second] = kinds;
  if (first !== undefined && second !== undefined && first.rank > 0 && first.rank === second.rank) {
    throw new UsageFault(`${first.flag} and ${second.flag} exclude each other`);
  }
  if (first?.flag === '--url' && first.rank > 0 && values.url !== undefined) return { url: values.url };
  if (first?.flag === '--path' && first.rank > 0 && values.path !== undefined) return { path: values.path };
  return { host: values.host, port: values.port };
}

/** For messages to people, as the library writes addresses. */
export function showPlace(place: Place): string {
  if ('url' in place) return place.url;
  if ('path' in place) return `unix:${place.path}`;
  return `tcp://${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
}

/** The flags with which another command comes to the same place; empty for the default. */
export function flagsFor(place: Place): string {
  if ('url' in place) return ` --url ${quoted(place.url)}`;
  if ('path' in place) return ` --path ${quoted(place.path)}`;
  const host = place.host === 'localhost' ? '' : ` --host ${quoted(place.host)}`;
  return place.port === 8888 ? host : `${host} --port ${place.port}`;
}

function quoted(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A client that is not connected yet. Whoever gets it disconnects it. */
export async function makeClient(input: Input<typeof CLIENT_OPTIONS>, options: ClientOptions = {}): Promise<IPCClient> {
  const place = placeOf(input);
  const { IPCClient } = await import('../client/index.ts');
  const { app, token } = input.values;
  return new IPCClient(app, { ...place, ...(token !== undefined && { token }), ...options });
}
