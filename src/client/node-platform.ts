// The platform of the client in Node: sockets of every kind, timers that need not keep the process alive.

import { randomUUID } from 'node:crypto';
import { connect as connectNet, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { abortError, ipcError, type IPCError, isOutOfFiles, toError } from '../base/errors.ts';
import { SlabPool } from '../session/slab-pool.ts';
import { DIAL_OPTIONS } from '../transports/dial-options.ts';
import { Patience } from '../transports/patience.ts';
import { StreamWire } from '../transports/stream-wire.ts';
import { connectWebSocket } from '../transports/websocket-connect.ts';
import type { Wire } from '../transports/wire.ts';
import { type Address, showAddress } from './address.ts';
import type { Platform } from './platform.ts';

/** A longer path is silently cut by some systems, so that two paths would become one. */
const UNIX_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;

export const nodePlatform: Platform = {
  connect,
  clock: () => performance.now(),
  now: () => Date.now(),
  uniqueId: () => randomUUID(),
  random: () => Math.random(),
  // After the callbacks and promises of this turn; setImmediate would add a round of the event loop to each
  // round trip.
  defer: (run) => {
    process.nextTick(run);
  },
  setTimer: (delayMs, run, keepsProcessAlive) => {
    const patience = new Patience(delayMs, run, keepsProcessAlive);
    return () => patience.end();
  },
  allocate: (bytes) => Buffer.allocUnsafeSlow(bytes),
  pool: new SlabPool((bytes) => Buffer.allocUnsafeSlow(bytes)),
  warn: (error) => process.emitWarning(error),
};

function connect(address: Address, signal: AbortSignal): Promise<Wire> {
  if (signal.aborted) return Promise.reject(abortError(signal));
  switch (address.kind) {
    case 'tcp':
      return streamWire(
        connectNet({ ...DIAL_OPTIONS, host: address.host, port: address.port }),
        'connect',
        address,
        signal,
      );
    case 'tls':
      return streamWire(
        connectTls({
          servername: serverName(address.host),
          ...copied(address.tls),
          ...DIAL_OPTIONS,
          host: address.host,
          port: address.port,
        }),
        'secureConnect',
        address,
        signal,
      );
    case 'unix':
      return connectUnix(address, signal);
    default:
      return connectWebSocket(address.url, copied(address.tls), signal).catch((error: unknown) => {
        throw signal.aborted ? abortError(signal) : connectFailed(address, toError(error));
      });
  }
}

function connectUnix(address: Extract<Address, { kind: 'unix' }>, signal: AbortSignal): Promise<Wire> {
  const bytes = Buffer.byteLength(address.path);
  if (process.platform !== 'win32' && bytes > UNIX_PATH_BYTES_MAX) {
    const text = `the socket path has ${bytes} bytes, ${UNIX_PATH_BYTES_MAX} are the most: ${address.path}`;
    return Promise.reject(
      ipcError('NETWORK_PATH_TOO_LONG', text, { details: { bytes, bytesMax: UNIX_PATH_BYTES_MAX } }),
    );
  }
  return streamWire(connectNet({ path: address.path }), 'connect', address, signal);
}

export function streamWire(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  address: Exclude<Address, { kind: 'websocket' }>,
  signal: AbortSignal,
): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      done();
      socket.destroy();
      reject(connectFailed(address, error));
    };
    const abort = () => {
      done();
      socket.on('error', () => {});
      socket.destroy();
      reject(abortError(signal));
    };
    const ready = () => {
      if (isOurselves(socket)) {
        fail(Object.assign(new Error('nobody listens there'), { code: 'ECONNREFUSED' }));
        return;
      }
      const peer =
        address.kind === 'unix'
          ? { transport: 'unix' as const }
          : { transport: address.kind, host: address.host, port: address.port };
      const wire = new StreamWire(socket, peer);
      done();
      resolve(wire);
    };
    const done = () => {
      socket.off('error', fail);
      socket.off(event, ready);
      signal.removeEventListener('abort', abort);
    };
    socket.once('error', fail);
    socket.once(event, ready);
    signal.addEventListener('abort', abort);
  });
}

/**
 * Where nobody listens on a port of this machine, the system may give that very port to who connects to it, and
 * TCP connects him to himself. The port is then taken, too, for who wants to listen there.
 */
function isOurselves({ localAddress, localPort, remoteAddress, remotePort }: Socket): boolean {
  return localPort !== undefined && localPort === remotePort && localAddress === remoteAddress;
}

function connectFailed(address: Address, error: Error & { code?: string }): IPCError {
  const denied = error.code === 'EACCES' || error.code === 'EPERM';
  return ipcError(
    isOutOfFiles(error.code) ? 'LIMIT_FILES' : denied ? 'NETWORK_PERMISSION' : 'NETWORK_CONNECT_FAILED',
    `cannot connect to ${showAddress(address)}: ${error.message === '' ? (error.code ?? error.name) : error.message}`,
    {
      cause: error,
      details: { address: showAddress(address), ...(error.code === undefined ? {} : { systemCode: error.code }) },
    },
  );
}

/** A name for the certificate check; an address is none, and TLS forbids to send it. */
function serverName(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host;
}

/** Node's types want mutable arrays and Buffers. */
function copied(tls: Extract<Address, { kind: 'tls' }>['tls']) {
  const { ca, cert, key, ...rest } = tls;
  const own = (value: string | Uint8Array) => (typeof value === 'string' ? value : Buffer.from(value));
  const all = (value: NonNullable<typeof ca>) =>
    typeof value === 'string' || value instanceof Uint8Array ? own(value) : value.map(own);
  return {
    ...rest,
    ...(ca === undefined ? {} : { ca: all(ca) }),
    ...(cert === undefined ? {} : { cert: own(cert) }),
    ...(key === undefined ? {} : { key: own(key) }),
  };
}
