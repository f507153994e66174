// Middleware before, and handlers whose result nobody waits for: both may be asynchronous, and neither
// costs a promise where they are not.

import { ipcError, IPCError, toError } from '../base/errors.ts';
import type { ServerChannel, ServerMessage } from './model.ts';

/**
 * Runs the middleware of a channel or application, then `go` with the error that stopped the message, if one
 * did. True when that happens later; then `failed` is told what `go` threw.
 */
export function screened(
  place: { readonly middleware: ServerChannel['middleware'] },
  message: ServerMessage,
  go: (error: IPCError | undefined) => void,
  failed: (error: Error) => void,
): boolean {
  const verdict = place.middleware.run(message, message.connection);
  if (!(verdict instanceof Promise)) {
    go(asRefusal(verdict));
    return false;
  }
  void verdict.then((error) => go(asRefusal(error))).catch((thrown: unknown) => failed(toError(thrown)));
  return true;
}

/** Runs a handler; what it throws or rejects with goes to `failed`. */
export function observe(run: () => unknown, failed: (error: Error) => void): void {
  const report = (thrown: unknown): void => failed(toError(thrown));
  try {
    const result = run();
    if (result instanceof Promise) result.catch(report);
  } catch (thrown) {
    report(thrown);
  }
}

function asRefusal(error: Error | undefined): IPCError | undefined {
  if (error === undefined || error instanceof IPCError) return error;
  return ipcError('REMOTE_HANDLER_FAILED', `middleware threw: ${error.message}`, { cause: error });
}
