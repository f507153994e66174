// Calls into the program: its handlers and listeners. What they throw is the program's fault and ends up where
// its uncaught errors do, but no message is lost for it and nobody else goes without being called.

export function throwApart(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

export function callOut(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    throwApart(error);
  }
}

/** Whether a handler gave a promise: then it is at work until that is settled. */
export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
