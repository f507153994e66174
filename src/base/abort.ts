// Waiting for an AbortSignal. A signal often lives as long as the program and is given to many operations at
// once: it gets one listener from us, however many wait, and none when nobody does.

import { abortError } from './errors.ts';

interface Waiting {
  readonly runs: Set<() => void>;
  readonly fired: () => void;
}

const waitingFor = new WeakMap<AbortSignal, Waiting>();

/** Calls `run` once when the signal fires, at once when it has; gives what prevents it. */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  if (signal.aborted) {
    run();
    return () => {};
  }
  const { runs, fired } = waitingFor.get(signal) ?? listen(signal);
  // A function of its own, so that one that is given twice can be taken out once.
  const own = () => run();
  runs.add(own);
  return () => {
    if (!runs.delete(own) || runs.size > 0) return;
    waitingFor.delete(signal);
    signal.removeEventListener('abort', fired);
  };
}

/** What the promise gives, or the signal's reason as soon as it fires. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const stop = onAbort(signal, () => reject(abortError(signal)));
    promise.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

function listen(signal: AbortSignal): Waiting {
  const runs = new Set<() => void>();
  const fired = () => {
    waitingFor.delete(signal);
    signal.removeEventListener('abort', fired);
    for (const run of runs) {
      // One that ran before may have taken it out.
      if (runs.delete(run)) run();
    }
  };
  const waiting = { runs, fired };
  waitingFor.set(signal, waiting);
  signal.addEventListener('abort', fired);
  return waiting;
}
