// The number in a GOODBYE (and in the close frame of a WebSocket) for each code that ends a connection.
// 4000..4099: come back later may help; 4100..4199: it will not.

import type { ErrorCode } from '../base/error-codes.ts';

export const CLOSE_CODES = {
  REMOTE_CLOSED: 4000,
  REMOTE_DRAINING: 4001,
  PEER_SILENT: 4002,
  LIMIT_CONNECTIONS: 4003,
  LIMIT_OUTBOX: 4004,
  LIMIT_RATE: 4005,
  PEER_HANDSHAKE_TIMEOUT: 4006,
  NETWORK_LOST: 4007,
  PEER_MALFORMED_FRAME: 4100,
  PEER_UNEXPECTED_FRAME: 4101,
  PEER_UNKNOWN_FRAME: 4102,
  PEER_UNKNOWN_EXTENSION: 4103,
  PEER_VERSION: 4104,
  PEER_FLOW_CONTROL: 4105,
  LIMIT_MESSAGE_BYTES: 4106,
  LIMIT_CHANNELS: 4107,
  REMOTE_UNAUTHENTICATED: 4108,
  REMOTE_FORBIDDEN: 4109,
  REMOTE_NO_APPLICATION: 4110,
  USAGE_INVALID_NAME: 4111,
  PEER_MALFORMED_PAYLOAD: 4112,
  SYSTEM_UNEXPECTED: 4199,
} as const satisfies Partial<Record<ErrorCode, number>>;

/** The number for an error code; a fault that has none is reported as unexpected. */
export function closeCodeOf(code: ErrorCode): number {
  return Object.hasOwn(CLOSE_CODES, code)
    ? CLOSE_CODES[code as keyof typeof CLOSE_CODES]
    : CLOSE_CODES.SYSTEM_UNEXPECTED;
}
