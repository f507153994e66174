// How an address is listened on, on each system: Unix sockets that are private and never silently truncated or
// stolen from a live server, named pipes of Windows, and errors with codes.

import { lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { connect as netConnect, type Server } from 'node:net';
import { dirname } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { ipcError, type IPCError, toError } from '../base/errors.ts';
import { invalidOption } from '../base/options.ts';

/** One address to listen on, checked and complete. */
export type EndpointAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: TlsOptions }
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number };

/** The part of a Node server that listens. */
export type Listener = Pick<Server, 'once' | 'removeListener' | 'listen'>;

/** Node truncates a longer path without a word, and two paths collide. */
const UNIX_PATH_BYTES_MAX = 107;
const WINDOWS_PIPE = /^\\\\[.?]\\pipe\\./iu;

/** Listens. Rejects with what `listenError` makes of the fault. */
export function listen(server: Listener, address: EndpointAddress, platform: NodeJS.Platform): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(listenError(address, error, platform));
    server.once('error', failed);
    const listening = (): void => {
      server.removeListener('error', failed);
      resolve();
    };
    if (address.kind !== 'unix') {
      server.listen({ host: address.host, port: address.port }, listening);
      return;
    }
    // Nobody may connect between bind and a chmod, so the mask gives the mode: bind is done inside `listen`.
    const mask = platform === 'win32' ? undefined : process.umask(0o777 & ~address.mode);
    try {
      server.listen(address.path, listening);
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
  });
}

/** A free path in a private directory: a socket that nobody listens on any more is removed. */
export async function preparePath(path: string, platform: NodeJS.Platform): Promise<void> {
  if (platform === 'win32') {
    // A pipe is no file: it goes with its last handle, and a second server is told by the system.
    if (!WINDOWS_PIPE.test(path)) throw invalidOption('path', path, 'a named pipe: \\\\.\\pipe\\NAME');
    return;
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_PATH_BYTES_MAX) {
    throw ipcError(
      'NETWORK_PATH_TOO_LONG',
      `socket path of ${bytes} bytes; the system takes ${UNIX_PATH_BYTES_MAX}: ${path}`,
      {
        details: { path, bytes, bytesMax: UNIX_PATH_BYTES_MAX },
      },
    );
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw listenError({ kind: 'unix', path, mode: 0 }, toError(thrown), platform);
  }
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw occupied(path, 'a file that is no socket stands there');
  if (await answers(path)) throw occupied(path, 'a live server listens there');
  unlinkSync(path);
}

function occupied(path: string, why: string): IPCError {
  return ipcError('NETWORK_PATH_OCCUPIED', `socket path ${path}: ${why}`, { details: { path } });
}

/** Whether anybody listens on the socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = netConnect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Refused: left behind by a dead process. Anything else is no proof of death.
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function listenError(address: EndpointAddress, error: NodeJS.ErrnoException, platform: NodeJS.Platform): IPCError {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  const details = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
  switch (error.code) {
    case 'EADDRINUSE':
      return address.kind === 'unix'
        ? occupied(where, 'a live server listens there')
        : ipcError('NETWORK_PORT_IN_USE', `${where}: another process listens on this port`, { cause: error, details });
    case 'EMFILE':
    case 'ENFILE':
      return ipcError('LIMIT_FILES', `${where}: ${error.message}`, { cause: error, details });
    case 'EACCES':
    case 'EPERM':
      // So the system calls a pipe's name that it does not take; one of another user's is in use.
      if (address.kind === 'unix' && platform === 'win32') {
        return ipcError('NETWORK_LISTEN_FAILED', `${where}: no name that the system takes`, { cause: error, details });
      }
      return ipcError('NETWORK_PERMISSION', `${where}: the system does not allow to listen here`, {
        cause: error,
        details,
      });
    default:
      return ipcError('NETWORK_LISTEN_FAILED', `${where}: ${error.message}`, { cause: error, details });
  }
}
