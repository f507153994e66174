// What a client can tell about itself.

import type { IPCError } from '../base/errors.ts';
import { showAddress } from './address.ts';
import type { ClientCore } from './core.ts';
import type { ClientState } from './lifecycle.ts';

export interface Health {
  readonly healthy: boolean;
  readonly connected: boolean;
  /** To the server and back; null when it did not answer. */
  readonly latencyMs: number | null;
  readonly error: IPCError | null;
}

export interface ConnectionInfo {
  readonly appId: string;
  readonly state: ClientState;
  readonly connected: boolean;
  readonly connectionId: string | null;
  /** The server's address, as a URL. */
  readonly address: string;
  /** Product and version of the server; null while offline. */
  readonly server: string | null;
  /** What authentication made of the token. */
  readonly identity: unknown;
  readonly subscriptions: number;
  /** Channels that this client serves. */
  readonly services: number;
  /** Operations that are not answered. */
  readonly pending: number;
  /** Bytes that wait: for the connection, and for credit. */
  readonly queuedBytes: number;
  /** Bytes of the present connection. */
  readonly bytesIn: number;
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
    pending: link?.pending ?? 0,
    queuedBytes: core.queuedBytes,
    bytesIn: link?.bytesIn ?? 0,
    bytesOut: link?.bytesOut ?? 0,
  };
}
