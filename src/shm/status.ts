// How the ring's statuses become errors, and the status codes that users of libipc know.

import { constants } from 'node:os';
import { IPCError, ipcError, isOutOfFiles } from '../base/errors.ts';
import type { ErrorCode } from '../base/error-codes.ts';

/** native/ring/status.h holds the same numbers. */
export const STATUS = {
  ok: 0,
  full: 1,
  empty: 2,
  busy: 3,
  tooLarge: 4,
  evicted: 5,
  corrupt: 6,
  needsSpace: 7,
  large: 8,
  mismatch: 9,
  foreign: 10,
  noSlot: 11,
  producerHeld: 12,
  wrongRole: 13,
  noMemory: 14,
  unsupported: 15,
} as const;

/** The status codes of libipc. An error of a shared-memory channel carries one as `statusCode`. */
export const IPCStatus = {
  SUCCESS: 0,
  INVALID_ARGUMENT: -1,
  CONNECTION_FAILED: -2,
  SEND_FAILED: -3,
  RECEIVE_FAILED: -4,
  TIMEOUT: -5,
  MEMORY: -6,
} as const;
export type IPCStatus = (typeof IPCStatus)[keyof typeof IPCStatus];

/** What was being done; it decides the status code where the error's own code does not. */
export type Activity = 'open' | 'send' | 'receive';

/** An error of a shared-memory channel: `code` as everywhere, `statusCode` as in libipc. */
export type ShmError = IPCError & { readonly statusCode: IPCStatus };

const STATUS_OF_CODE: Partial<Record<ErrorCode, IPCStatus>> = {
  TIME_OUT: IPCStatus.TIMEOUT,
  USAGE_INVALID_OPTION: IPCStatus.INVALID_ARGUMENT,
  USAGE_INVALID_NAME: IPCStatus.INVALID_ARGUMENT,
  LIMIT_MESSAGE_BYTES: IPCStatus.INVALID_ARGUMENT,
  USAGE_WRONG_MODE: IPCStatus.INVALID_ARGUMENT,
  SYSTEM_SHM_SPACE: IPCStatus.MEMORY,
};

const STATUS_OF_ACTIVITY: Record<Activity, IPCStatus> = {
  open: IPCStatus.CONNECTION_FAILED,
  send: IPCStatus.SEND_FAILED,
  receive: IPCStatus.RECEIVE_FAILED,
};

export function shmError(
  activity: Activity,
  code: ErrorCode,
  message: string,
  details: Readonly<Record<string, unknown>> = {},
): ShmError {
  return withStatus(activity, ipcError(code, message, { details }));
}

export function withStatus(activity: Activity, error: IPCError): ShmError {
  return Object.assign(error, { statusCode: STATUS_OF_CODE[error.code] ?? STATUS_OF_ACTIVITY[activity] });
}

/** Arguments looked at: what is wrong with them is said with a status code too. */
export function checked<T>(activity: Activity, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw error instanceof IPCError ? withStatus(activity, error) : error;
  }
}

const ERROR_OF_STATUS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [STATUS.busy]: ['TIME_OUT', 'the lock was not free: its holder is stopped, or the machine is overloaded'],
  [STATUS.tooLarge]: ['LIMIT_MESSAGE_BYTES', 'the message is larger than this way of sending carries'],
  [STATUS.evicted]: ['LIMIT_EVICTED', 'this receiver was too slow and was evicted; rejoin() begins anew'],
  [STATUS.corrupt]: ['PEER_CORRUPT_REGION', 'the shared memory holds what cannot be right'],
  [STATUS.mismatch]: ['USAGE_CHANNEL_MISMATCH', 'the channel has another type, policy or layout version'],
  [STATUS.foreign]: ['SYSTEM_SHM_FOREIGN', 'the file of the channel is not ours alone'],
  [STATUS.noSlot]: ['LIMIT_PEERS', 'the channel has as many senders and receivers as it holds'],
  [STATUS.producerHeld]: ['LIMIT_PRODUCERS', 'the route has a producer already'],
  [STATUS.wrongRole]: ['USAGE_WRONG_MODE', 'the handle was not opened for this'],
  [STATUS.noMemory]: ['SYSTEM_SHM_SPACE', 'no memory for the message'],
  [STATUS.unsupported]: ['USAGE_INVALID_OPTION', 'this channel cannot do that'],
};

/** The error of a status that is not `ok`. */
export function errorOfStatus(activity: Activity, status: number, channel: string): ShmError {
  const details = { channel, status };
  const known = ERROR_OF_STATUS[status];
  if (known) return shmError(activity, known[0], `channel '${channel}': ${known[1]}`, details);
  const errno = -status;
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? String(status);
  // EFBIG: the process may not make files of this size (ulimit -f).
  if ([constants.errno.ENOSPC, constants.errno.ENOMEM, constants.errno.EFBIG].includes(errno)) {
    return shmError(activity, 'SYSTEM_SHM_SPACE', `channel '${channel}': not enough shared memory`, details);
  }
  if (errno === constants.errno.EACCES || errno === constants.errno.EPERM) {
    return shmError(activity, 'NETWORK_PERMISSION', `channel '${channel}': the system refused access`, details);
  }
  if (isOutOfFiles(name))
    return shmError(activity, 'LIMIT_FILES', `channel '${channel}': too many open files`, details);
  if (errno === constants.errno.EBADF) return closedError(activity, channel);
  return shmError(activity, 'SYSTEM_UNEXPECTED', `channel '${channel}': unexpected ${name}`, details);
}

export function closedError(activity: Activity, channel: string): ShmError {
  return shmError(activity, 'USAGE_CLOSED', `channel '${channel}' is closed`, { channel });
}

export function timeoutError(activity: Activity, channel: string, timeoutMs: number): ShmError {
  const what = activity === 'send' ? 'no room' : 'nothing came';
  return shmError(activity, 'TIME_OUT', `channel '${channel}': ${what} within ${timeoutMs} ms`, { channel, timeoutMs });
}
