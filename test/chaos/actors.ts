// Starts actor.ts as a process of its own, hears what it says, and kills, stops and wakes it.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endsWithUs, passOn, stop } from '../support/child-process.ts';
import type { ActorEvent, ActorOrder } from './orders.ts';

const ACTOR = fileURLToPath(new URL('./actor.js', import.meta.url));

export class Actor {
  readonly events: ActorEvent[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #watchers = new Set<() => void>();
  #outcome: string | undefined;

  /** The process is killed when the test ends, should it still run. */
  constructor(
    t: TestContext,
    order: ActorOrder,
    { onEvent, nodeOptions = [] }: { onEvent?: (event: ActorEvent) => void; nodeOptions?: readonly string[] } = {},
  ) {
    this.#child = endsWithUs(
      fork(ACTOR, {
        env: { ...process.env, CHAOS_ORDER: JSON.stringify(order) },
        execArgv: ['--enable-source-maps', ...nodeOptions],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      }),
    );
    passOn(this.#child);
    this.#exited = once(this.#child, 'close').then(([code, signal]) => {
      this.#outcome = signal === null ? `exit ${code}` : String(signal);
      this.#changed();
    });
    this.#child.on('message', (message) => {
      const event = message as ActorEvent;
      this.events.push(event);
      onEvent?.(event);
      this.#changed();
    });
    // What is told to one who was just killed reaches nobody.
    this.#child.on('error', () => undefined);
    t.after(() => this.kill());
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** How it ended: `exit 0`, `SIGKILL`; undefined while it runs. */
  get outcome(): string | undefined {
    return this.#outcome;
  }

  /** Resolves with the first event that has this key; rejects when the process ends without. */
  async says<K extends keyof ActorEvent>(key: K): Promise<NonNullable<ActorEvent[K]>> {
    for (;;) {
      const found = this.events.find((event) => event[key] !== undefined);
      if (found !== undefined) return found[key] as NonNullable<ActorEvent[K]>;
      const fault = this.events.find((event) => event.fault !== undefined)?.fault ?? '';
      if (this.#outcome !== undefined) throw new Error(`ended with ${this.#outcome}, no word of ${key}: ${fault}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** Resolves when `holds` says so, asked after each event; rejects when the process ends before. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#outcome !== undefined) throw new Error(`ended with ${this.#outcome}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  tell(word: string): void {
    if (this.#outcome === undefined) this.#child.send(word);
  }

  /** Waits for it to end by itself. */
  async ended(): Promise<string> {
    await this.#exited;
    return this.#outcome as string;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Returns when it does nothing any more. */
  freeze(): Promise<void> {
    return stop(this.#child);
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  #changed(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake();
  }
}
