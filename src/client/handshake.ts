// What the server says about itself at the beginning, and about why it ends, checked: a peer may say
// anything.

import { errorFromWire, type IPCError, ipcError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { readFields } from '../session/session.ts';

/** docs/protocol.md, "HELLO and WELCOME". */
export interface Welcome {
  readonly connectionId: string;
  /** What authentication made of the token. */
  readonly identity: unknown;
  /** Product and version. */
  readonly server: string;
  readonly capabilities: readonly string[];
  readonly messageBytesMax: number;
  readonly publishWindowBytes: number;
  readonly streamWindowBytes: number;
  readonly heartbeatIntervalMs: number;
  readonly resumed: boolean;
}

export function readWelcome(frame: Frame): Welcome {
  const fields = readFields(frame);
  const { connectionId, server, capabilities } = fields;
  if (typeof connectionId !== 'string' || connectionId === '') throw malformed('connectionId', 'a text');
  return {
    connectionId,
    identity: fields['identity'],
    server: typeof server === 'string' ? server : '',
    capabilities: Array.isArray(capabilities) ? capabilities.filter((one) => typeof one === 'string') : [],
    messageBytesMax: size(fields, 'messageBytesMax', 1),
    publishWindowBytes: size(fields, 'publishWindowBytes', 1),
    streamWindowBytes: size(fields, 'streamWindowBytes', 1),
    heartbeatIntervalMs: size(fields, 'heartbeatIntervalMs', 0),
    resumed: fields['resumed'] === true,
  };
}

function size(fields: Readonly<Record<string, unknown>>, name: string, min: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min)
    throw malformed(name, `an integer from ${min} on`);
  return value;
}

function malformed(name: string, expected: string) {
  return ipcError('PEER_MALFORMED_FRAME', `WELCOME: ${name} is not ${expected}`, { details: { member: name } });
}

/** Why the server hangs up. A code of a newer server keeps what it says about coming back. */
export function goodbyeError(frame: Frame): IPCError {
  const { code, message, retry } = readFields(frame);
  const error = errorFromWire(String(code), String(message));
  return error.retry === retry || typeof retry !== 'boolean'
    ? error
    : ipcError(retry ? 'REMOTE_CLOSED' : error.code, error.message, {
        cause: error,
        details: { ...error.details, code, retry },
      });
}
