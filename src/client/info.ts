// What a client can tell about itself.

import type { IPCError } from '../base/errors.ts';
import { showAddress } from './address.ts';
import type { ClientCore } from './core.ts';
import type { ClientState } from './lifecycle.ts';

/** What `healthCheck` found. */
export interface Health {
  /** Whether the server answered. */
  readonly healthy: boolean;
  /** Whether there is a connection. */
  readonly connected: boolean;
  /** To the server and back; null when it did not answer. */
  readonly latencyMs: number | null;
  /** Why it is not healthy; null when it is. */
  readonly error: IPCError | null;
}

/** What `getConnectionInfo` gives: a copy of the present state. */
export interface ConnectionInfo {
  /** The application that it belongs to. */
  readonly appId: string;
  /** Where the client is between connecting and closing. */
  readonly state: ClientState;
  /** Whether it is online. */
  readonly connected: boolean;
  /** Given by the server for the present connection; null while offline. */
  readonly connectionId: string | null;
  /** The server's address, as a URL. */
  readonly address: string;
  /** Product and version of the server; null while offline. */
  readonly server: string | null;
  /** What authentication made of the token. */
  readonly identity: unknown;
  /** Subscriptions that stand. */
  readonly subscriptions: number;
  /** Channels that this client serves. */
  readonly services: number;
  /** Operations that are not answered, those that wait for a connection among them. */
  readonly pending: number;
  /** Bytes that wait: for the connection, and for credit. */
  readonly queuedBytes: number;
  /** Bytes of the present connection. */
  readonly bytesIn: number;
  /** Bytes written to the present connection. */
  readonly bytesOut: number;
}

export function connectionInfo(core: ClientCore): ConnectionInfo {
  const link = core.live;
  return {
    appId: core.appId,
    state: core.lifecycle.state,
    connected: link !== undefined,
    connectionId: link?.welcome.connectionId ?? null,
    address: showAddress(core.settings.address),
    server: link?.welcome.server ?? null,
    identity: link?.welcome.identity,
    subscriptions: core.standing.subscriptions.size,
    services: core.standing.services.size,
    pending: core.pending,
    queuedBytes: core.queuedBytes,
    bytesIn: link?.bytesIn ?? 0,
    bytesOut: link?.bytesOut ?? 0,
  };
}
