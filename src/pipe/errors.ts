// The error of named pipes: the package's codes, together with the error codes and the context that
// users of PipeCom know.

import type { ErrorCode } from '../base/error-codes.ts';
import { IPCError, type IPCErrorOptions, isOutOfFiles } from '../base/errors.ts';

/** The error codes of PipeCom. */
export type PipeErrorCode =
  | 'INVALID_PIPE'
  | 'INVALID_PIPE_NAME'
  | 'CONNECTION_FAILED'
  | 'PERMISSION_DENIED'
  | 'TIMEOUT'
  | 'UNKNOWN';

const ERROR_CODE_OF: Partial<Record<ErrorCode, PipeErrorCode>> = {
  USAGE_INVALID_NAME: 'INVALID_PIPE_NAME',
  NETWORK_PATH_OCCUPIED: 'INVALID_PIPE',
  NETWORK_CONNECT_FAILED: 'CONNECTION_FAILED',
  NETWORK_LISTEN_FAILED: 'CONNECTION_FAILED',
  NETWORK_LOST: 'CONNECTION_FAILED',
  REMOTE_CLOSED: 'CONNECTION_FAILED',
  LIMIT_CONNECTIONS: 'CONNECTION_FAILED',
  USAGE_CLOSED: 'CONNECTION_FAILED',
  NETWORK_PERMISSION: 'PERMISSION_DENIED',
  TIME_OUT: 'TIMEOUT',
};

/**
 * What `send` and `listen` reject with.
 *
 * @example
 * ```ts
 * try { await send('jobs', 'tidy up'); }
 * catch (error) { if (error instanceof PipeError && error.errorCode === 'CONNECTION_FAILED') startListener(); }
 * ```
 */
export class PipeError extends IPCError {
  static readonly INVALID_PIPE = 'INVALID_PIPE';
  static readonly INVALID_PIPE_NAME = 'INVALID_PIPE_NAME';
  static readonly CONNECTION_FAILED = 'CONNECTION_FAILED';
  static readonly PERMISSION_DENIED = 'PERMISSION_DENIED';
  static readonly TIMEOUT = 'TIMEOUT';
  static readonly UNKNOWN = 'UNKNOWN';

  override readonly name: string;
  /** The code of PipeCom; `code` tells more precisely what happened. */
  readonly errorCode: PipeErrorCode;

  constructor(code: ErrorCode, message: string, options?: IPCErrorOptions) {
    super(code, message, options);
    // Who gave up by an AbortSignal asks for the name that the platform gives it.
    this.name = code === 'TIME_CANCELLED' ? 'AbortError' : 'PipeError';
    this.errorCode = ERROR_CODE_OF[code] ?? 'UNKNOWN';
  }

  /** The facts of the failure, the pipe's name among them. */
  get context(): Readonly<Record<string, unknown>> {
    return this.details;
  }
}

/** The errno name (`ENOENT`) of what a function of `node:fs` threw, if it has one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return undefined;
}

/** An error of the operating system as a `PipeError`; one that is a `PipeError` already stays as it is. */
export function systemError(thrown: unknown, action: string, path: string): PipeError {
  if (thrown instanceof PipeError) return thrown;
  const errno = errnoOf(thrown);
  const denied = errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS';
  const code = isOutOfFiles(errno) ? 'LIMIT_FILES' : denied ? 'NETWORK_PERMISSION' : 'NETWORK_LISTEN_FAILED';
  return new PipeError(code, `cannot ${action} ${path}`, {
    cause: thrown,
    details: { path, errno },
  });
}
