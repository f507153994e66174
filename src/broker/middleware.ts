// The chain that every message of a client passes before it is routed: the server's, then the
// application's, then the channel's. A message that nothing asynchronous looks at passes without a promise.

import { type IPCError, ipcError, toError } from '../base/errors.ts';

/**
 * Looks at a message before it is routed. A truthy result (or a promise of one) lets it pass, a falsy one
 * refuses it with `REMOTE_REFUSED`, and what it throws reaches the sender instead.
 *
 * @example
 * ```ts
 * channel.use((message, context) => context.identity !== undefined);
 * ```
 */
export type Middleware<M, X> = (message: M, context: X) => unknown;

/** Why a message was stopped; `undefined` when it may pass. */
export type Verdict = Error | undefined;

export class MiddlewareStack<M, X> {
  readonly #outer: MiddlewareStack<M, X> | undefined;
  #own: readonly Middleware<M, X>[] = [];
  #all: readonly Middleware<M, X>[] = [];
  /** The lists that `#all` was made from. */
  #madeFromOuter: readonly Middleware<M, X>[] = this.#all;
  #madeFromOwn: readonly Middleware<M, X>[] = this.#own;

  /** `outer` runs before: an application's stack has the server's as outer, a channel's the application's. */
  constructor(outer?: MiddlewareStack<M, X>) {
    this.#outer = outer;
  }

  /** How many belong to this stack itself. */
  get size(): number {
    return this.#own.length;
  }

  use(middleware: Middleware<M, X>): void {
    this.#own = [...this.#own, middleware];
  }

  /** The outer ones first. The list given out is never changed. */
  all(): readonly Middleware<M, X>[] {
    const outer = this.#outer?.all() ?? NONE;
    if (outer !== this.#madeFromOuter || this.#own !== this.#madeFromOwn) {
      this.#madeFromOuter = outer;
      this.#madeFromOwn = this.#own;
      this.#all = [...outer, ...this.#own];
    }
    return this.#all;
  }

  /** Passes the message through all of them, in order; a promise only where one of them gave a promise. */
  run(message: M, context: X): Verdict | Promise<Verdict> {
    const all = this.all();
    return all.length === 0 ? undefined : runFrom(all, 0, message, context);
  }
}

const NONE: readonly never[] = [];

function runFrom<M, X>(
  all: readonly Middleware<M, X>[],
  from: number,
  message: M,
  context: X,
): Verdict | Promise<Verdict> {
  try {
    for (let index = from; index < all.length; index += 1) {
      const result = (all[index] as Middleware<M, X>)(message, context);
      if (isThenable(result)) return awaitFrom(all, index, result, message, context);
      if (!result) return refused();
    }
    return undefined;
  } catch (thrown) {
    return toError(thrown);
  }
}

async function awaitFrom<M, X>(
  all: readonly Middleware<M, X>[],
  index: number,
  result: PromiseLike<unknown>,
  message: M,
  context: X,
): Promise<Verdict> {
  try {
    if (!(await result)) return refused();
  } catch (thrown) {
    return toError(thrown);
  }
  return runFrom(all, index + 1, message, context);
}

function refused(): IPCError {
  return ipcError('REMOTE_REFUSED', 'middleware refused the message');
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
