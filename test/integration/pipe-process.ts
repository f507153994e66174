// Starts pipe-worker.ts as a process that ends with its test, and waits for what it tells.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from '../support/child-process.ts';
import type { PipeFolder } from './pipe-folder.ts';
import type { PipeWorkerOrder } from './pipe-worker.ts';

export interface WorkerEvent {
  readonly ready?: true;
  readonly message?: string;
  readonly acknowledged?: string;
  readonly finished?: true;
}

export class PipeProcess {
  readonly events: WorkerEvent[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #watchers = new Set<() => void>();
  #isGone = false;

  /** `defer`: of the folder of the test. */
  constructor(defer: PipeFolder['defer'], order: PipeWorkerOrder, onEvent: (event: WorkerEvent) => void = () => {}) {
    const worker = fileURLToPath(new URL('./pipe-worker.js', import.meta.url));
    this.#child = endsWithUs(fork(worker, { env: { ...process.env, PIPE_WORKER: JSON.stringify(order) } }));
    this.#exited = once(this.#child, 'close').then(() => {
      this.#isGone = true;
      this.#changed();
    });
    this.#child.on('message', (event) => {
      this.events.push(event as WorkerEvent);
      onEvent(event as WorkerEvent);
      this.#changed();
    });
    defer(() => this.kill());
  }

  /** Resolves with the first event that fits; rejects when the process ends before. */
  async until(fits: (event: WorkerEvent) => boolean): Promise<WorkerEvent> {
    for (;;) {
      const found = this.events.find(fits);
      if (found !== undefined) return found;
      if (this.#isGone) throw new Error('the process ended');
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  async exited(): Promise<void> {
    await this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Returns when it is dead, without a turn of the event loop. */
  killNow(): void {
    this.#child.kill('SIGKILL');
    const proc = `/proc/${this.#child.pid}`;
    // Its descriptors are closed by the last of its threads.
    while (!/\) Z /.test(readFileSync(`${proc}/stat`, 'latin1')) || readdirSync(`${proc}/task`).length > 1);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #changed(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const wake of watchers) wake();
  }
}
