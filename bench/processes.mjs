// @ts-check
// Starts the workers and talks to them: one request, one reply, over the channel of child_process.fork.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url));
const REPLY_TIMEOUT_MS = 60_000;
const EXIT_TIMEOUT_MS = 5_000;

/**
 * What a worker says: an answer, or how far its receivers have come.
 * @typedef {{ id: number, result?: unknown, error?: string } | { progress: number }} Answer
 */

export class Worker {
  #child;
  #name;
  #nextId = 1;
  /** @type {Map<number, { resolve: (value: unknown) => void, reject: (error: Error) => void, timer: NodeJS.Timeout }>} */
  #waiting = new Map();
  /** @type {(progress: number) => void} */
  onProgress = () => undefined;

  /**
   * @param {string} name for messages
   * @param {string[]} execArgv such as --cpu-prof
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(name, execArgv, env) {
    this.#name = name;
    this.#child = fork(WORKER, [name], { execArgv: ['--expose-gc', ...execArgv], env: { ...process.env, ...env } });
    this.#child.on('message', (/** @type {Answer} */ message) => {
      if ('progress' in message) {
        this.onProgress(message.progress);
        return;
      }
      const waiting = this.#waiting.get(message.id);
      if (waiting === undefined) return;
      this.#waiting.delete(message.id);
      clearTimeout(waiting.timer);
      if (message.error !== undefined) waiting.reject(new Error(`${name}: ${message.error}`));
      else waiting.resolve(message.result);
    });
    this.#child.on('exit', (code, signal) => this.#failAll(`ended (${signal ?? code})`));
    this.#child.on('error', (error) => this.#failAll(error.message));
  }

  /** @param {string} why */
  #failAll(why) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(`${this.#name}: ${why}`));
    }
    this.#waiting.clear();
  }

  /**
   * @param {string} command
   * @param {object} [input]
   * @returns {Promise<unknown>}
   */
  ask(command, input = {}) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${this.#name}: no answer to ${command}`));
      }, REPLY_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#child.send({ id, command, input }, (error) => {
        if (error === null) return;
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(new Error(`${this.#name}: ${error.message}`));
      });
    });
  }

  /** @param {object} message */
  tell(message) {
    if (this.#child.connected) this.#child.send(message);
  }

  async end() {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    const timer = setTimeout(() => child.kill('SIGKILL'), EXIT_TIMEOUT_MS);
    this.ask('end').catch(() => undefined);
    await gone;
    clearTimeout(timer);
  }
}
