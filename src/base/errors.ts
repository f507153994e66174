// The error tree. Programs tell errors apart by `code`, never by text; the classes carry the names
// that users of the original package know.

import { ERROR_CODES, type ErrorCode, type ErrorKind, isErrorCode } from './error-codes.ts';

export interface IPCErrorOptions {
  readonly cause?: unknown;
  /** Machine-readable facts: what was wrong, what was expected, where. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The root of every error that this package raises.
 *
 * @example
 * ```ts
 * try { await client.call('sum', [1, 2]); }
 * catch (error) { if (error instanceof IPCError && error.retry) scheduleAgain(); else throw error; }
 * ```
 */
export class IPCError extends Error {
  override readonly name: string = 'IPCError';
  /** Stable; see docs/errors.md. */
  readonly code: ErrorCode;
  /** Machine-readable facts: what was wrong, what was expected, where. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: IPCErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** May the very same call succeed later, without a change to the program? */
  get retry(): boolean {
    return ERROR_CODES[this.code].retry;
  }
}

/** The way between two peers is broken, refused or closed. */
export class ConnectionError extends IPCError {
  override readonly name: string = 'ConnectionError';
}
/** A message reached nobody who would or could take it. */
export class RoutingError extends IPCError {
  override readonly name: string = 'RoutingError';
}
/** Credentials are missing or do not permit this. */
export class AuthenticationError extends IPCError {
  override readonly name: string = 'AuthenticationError';
}
/** Something about a channel: unknown, malformed, too many. */
export class ChannelError extends IPCError {
  override readonly name: string = 'ChannelError';
}
/** Something about an application. */
export class ApplicationError extends IPCError {
  override readonly name: string = 'ApplicationError';
}
/** Bytes that do not decode, or a value that does not encode. */
export class SerializationError extends IPCError {
  override readonly name: string = 'SerializationError';
}
/** Not finished in time. */
export class TimeoutError extends IPCError {
  override readonly name: string = 'TimeoutError';
}

/** The program gave up by an AbortSignal, whose `reason` is the `cause`. Named as the platform names it. */
export class AbortError extends IPCError {
  override readonly name: string = 'AbortError';
}

const CLASS_OF_KIND: Readonly<Record<ErrorKind, typeof IPCError>> = {
  connection: ConnectionError,
  routing: RoutingError,
  authentication: AuthenticationError,
  channel: ChannelError,
  application: ApplicationError,
  serialization: SerializationError,
  timeout: TimeoutError,
  abort: AbortError,
  plain: IPCError,
};

/** Makes the error of the class that belongs to the code. */
export function ipcError(code: ErrorCode, message: string, options?: IPCErrorOptions): IPCError {
  return new CLASS_OF_KIND[ERROR_CODES[code].kind](code, message, options);
}

/** An error that came over the wire; a code of a newer peer becomes `REMOTE_HANDLER_FAILED`, kept in `details.code`. */
export function errorFromWire(code: string, message: string, details?: Readonly<Record<string, unknown>>): IPCError {
  if (isErrorCode(code)) return ipcError(code, message, details ? { details } : {});
  return ipcError('REMOTE_HANDLER_FAILED', message, { details: { ...details, code } });
}

/** Gives what was thrown as an `Error` with a text, whatever it was. Never throws itself. */
export function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === 'string') return thrown;
    return new Error(String(thrown), { cause: thrown });
  } catch {
    // A revoked proxy, an object without a prototype: they cannot even be asked what they are.
    return new Error('something was thrown that cannot be looked at', { cause: thrown });
  }
}

/** Gives what was thrown as an `IPCError`; what is none becomes `SYSTEM_UNEXPECTED`. */
export function asIpcError(thrown: unknown): IPCError {
  if (thrown instanceof IPCError) return thrown;
  const error = toError(thrown);
  return ipcError('SYSTEM_UNEXPECTED', error.message, { cause: error });
}

/** `signal.reason` as an error with a code; a plain abort becomes `TIME_CANCELLED`. */
export function abortError(signal: AbortSignal): IPCError {
  const reason: unknown = signal.reason;
  if (reason instanceof IPCError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return ipcError('TIME_OUT', 'the AbortSignal timed out', { cause: reason });
  }
  return ipcError('TIME_CANCELLED', 'the call was aborted', { cause: reason });
}

/** Whether the system gives no more descriptors to the process (EMFILE), or to anybody (ENFILE). */
export function isOutOfFiles(errno: string | undefined): boolean {
  return errno === 'EMFILE' || errno === 'ENFILE';
}
