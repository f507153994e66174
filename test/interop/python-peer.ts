// Drives clients and servers of the original Python package from tests: commands go to a Python process
// as lines of JSON and resolve with its answers; what it receives arrives as events, which are awaited.
// `close` proves that the process ended by itself, with exit code 0, after closing what it had opened.

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from '../support/child-process.ts';
import { parsePythonJson, stringifyPythonJson } from '../../src/protocol/python-json.ts';

const PYTHON = process.env['ISTHMUS_PYTHON'] ?? 'python3';
const PACKAGE = 'ipc-framework';
const STDERR_KEPT = 4000;
/** So that a test that hangs names what it waited for. Far beyond what any wait takes. */
const EVENT_TIMEOUT_MS = 120_000;
/** The original gives up by itself; no request that is answered takes so long, on however busy a machine. */
const REQUEST_TIMEOUT_S = 120;

/** A message as Python sees it: the seven keys. */
export interface PythonMessage {
  readonly message_id: string;
  readonly app_id: string;
  readonly channel_id: string;
  readonly message_type: string;
  readonly payload: unknown;
  readonly timestamp: number;
  readonly reply_to: string | null;
}

export interface PythonEvent {
  readonly event: string;
  readonly lane?: string;
  readonly channel?: string;
  readonly message?: PythonMessage;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Waiter extends Pending {
  readonly matches: (event: PythonEvent) => boolean;
}

let missing: string | false | undefined;

/** Why tests with the original package cannot run here, for the `skip` option; `false` when they can. */
export function pythonMissing(): string | false {
  missing ??= findMissing();
  return missing;
}

function findMissing(): string | false {
  const found = spawnSync(PYTHON, ['-c', 'import ipc_framework'], { encoding: 'utf8' });
  if (found.error !== undefined) return `${PYTHON} does not run (${found.error.message}); ISTHMUS_PYTHON names another`;
  if (found.status !== 0) return `${PYTHON} has no package ${PACKAGE}: pip install ${PACKAGE}==1.1.2`;
  return false;
}

function scriptPath(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return join(folder, 'test', 'interop', 'python', `${name}.py`);
}

/** One Python process and its lines. */
export class PythonProcess {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #pending = new Map<number, Pending>();
  readonly #events: PythonEvent[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #ended: Promise<string>;
  #nextId = 1;
  #stderr = '';
  #how: string | undefined;

  private constructor(name: string) {
    this.#name = name;
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
    this.#child = endsWithUs(spawn(PYTHON, ['-u', scriptPath(name)], { env }));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    // A write after the process has died is told by the end of the process.
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onLine(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.#ended.then((how) => {
      this.#how = how;
      const error = this.#failure(`ended with ${how}`);
      for (const pending of [...this.#pending.values(), ...this.#waiters]) pending.reject(error);
      this.#pending.clear();
    });
  }

  static async start(name: 'client' | 'server'): Promise<PythonProcess> {
    const python = new PythonProcess(name);
    try {
      await python.next('ready', (event) => event.event === 'ready');
    } catch (error) {
      await python.kill();
      throw error;
    }
    return python;
  }

  /** Resolves with the result of the command, or rejects with what Python raised. */
  call(command: { readonly do: string; readonly lane?: string; readonly [key: string]: unknown }): Promise<unknown> {
    if (this.#how !== undefined) return Promise.reject(this.#failure(`ended with ${this.#how}`));
    const id = this.#nextId++;
    const answered = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#child.stdin.write(`${stringifyPythonJson({ ...command, id })}\n`);
    return answered;
  }

  /** The first event that matches and was not given before, now or when it comes. */
  next(what: string, matches: (event: PythonEvent) => boolean): Promise<PythonEvent> {
    const at = this.#events.findIndex(matches);
    if (at !== -1) return Promise.resolve(this.#events.splice(at, 1)[0] as PythonEvent);
    if (this.#how !== undefined) return Promise.reject(this.#failure(`ended with ${this.#how}`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(this.#failure(`waited in vain for ${what}`))),
        EVENT_TIMEOUT_MS,
      );
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        then();
      };
      const waiter: Waiter = {
        matches,
        resolve: (event) => settle(() => resolve(event as PythonEvent)),
        reject: (error) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
    });
  }

  /** Events that came and that nobody took. */
  get events(): readonly PythonEvent[] {
    return this.#events;
  }

  /** Ends the process by the end of its input and proves that it closed everything by itself. */
  async close(): Promise<void> {
    const closed = this.next('closed', (event) => event.event === 'closed');
    this.#child.stdin.end();
    try {
      await closed;
      assert.equal(await this.#ended, 'exit code 0', this.#stderr);
    } finally {
      await this.kill();
    }
  }

  /** Ends the process at once, as a crash of the peer would. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #onLine(line: string): void {
    const said = parsePythonJson(line) as Record<string, unknown>;
    if (typeof said['answer'] === 'number') this.#onAnswer(said['answer'], said);
    else this.#onEvent(said as unknown as PythonEvent);
  }

  #onAnswer(id: number, said: Record<string, unknown>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const failure = said['failure'] as { type: string; text: string } | undefined;
    if (failure === undefined) pending?.resolve(said['result']);
    else pending?.reject(new Error(`${failure.type}: ${failure.text}`));
  }

  #onEvent(event: PythonEvent): void {
    for (const waiter of this.#waiters) {
      if (!waiter.matches(event)) continue;
      waiter.resolve(event);
      return;
    }
    this.#events.push(event);
  }

  #failure(what: string): Error {
    return new Error(`Python ${this.#name}: ${what}\n${this.#stderr}`);
  }
}

/** One client of the original package; several may live in one process. */
export class PythonClient {
  readonly #python: PythonProcess;
  readonly lane: string;
  /** Chosen by the client, as the old protocol has it. */
  readonly connectionId: string;

  private constructor(python: PythonProcess, lane: string, connectionId: string) {
    this.#python = python;
    this.lane = lane;
    this.connectionId = connectionId;
  }

  static async connect(
    python: PythonProcess,
    address: { readonly app: string; readonly port: number; readonly host?: string; readonly connectionId?: string },
    lane = 'client',
  ): Promise<PythonClient> {
    const command = { host: '127.0.0.1', ...address, do: 'connect', lane };
    const result = (await python.call(command)) as { connected: boolean; connectionId: string };
    if (!result.connected) throw new Error(`Python client '${lane}' was not accepted`);
    return new PythonClient(python, lane, result.connectionId);
  }

  /** Sends the subscription; the old protocol does not acknowledge it. */
  async subscribe(channel: string): Promise<void> {
    await this.#call('subscribe', { channel });
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#call('unsubscribe', { channel });
  }

  /** Gives the id of the message. */
  async publish(channel: string, payload: unknown): Promise<string> {
    return this.send(channel, 'publish', payload);
  }

  async notify(channel: string, payload: unknown): Promise<string> {
    return this.send(channel, 'notification', payload);
  }

  async send(channel: string, type: string, payload: unknown): Promise<string> {
    return (await this.#call('send', { channel, type, payload })) as string;
  }

  /** Gives `null` after the time-out, as the original does. */
  async request(channel: string, payload: unknown, timeoutSeconds = REQUEST_TIMEOUT_S): Promise<PythonMessage | null> {
    return (await this.#call('request', { channel, payload, timeout: timeoutSeconds })) as PythonMessage | null;
  }

  async requestAsync(channel: string, payload: unknown): Promise<PythonMessage> {
    await this.#call('requestAsync', { channel, payload });
    const event = await this.#python.next(
      `an answer on ${channel}`,
      ({ event, lane }) => event === 'answered' && lane === this.lane,
    );
    return event.message as PythonMessage;
  }

  async ping(timeoutSeconds = REQUEST_TIMEOUT_S): Promise<boolean> {
    return (await this.#call('ping', { timeout: timeoutSeconds })) as boolean;
  }

  /** The next message of a channel that this client is subscribed to. */
  async next(channel: string): Promise<PythonMessage> {
    const event = await this.#python.next(
      `a message on ${channel}`,
      (event) => event.event === 'message' && event.lane === this.lane && event.channel === channel,
    );
    return event.message as PythonMessage;
  }

  /** Messages that came and that `next` did not give. */
  get unread(): readonly PythonMessage[] {
    return this.#python.events.flatMap((event) =>
      event.event === 'message' && event.lane === this.lane ? [event.message as PythonMessage] : [],
    );
  }

  async info(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#call('info', {})) as Record<string, unknown>;
  }

  /** Resolves when the client has noticed that its connection is gone; `false` if it has not. */
  async untilLost(timeoutSeconds = REQUEST_TIMEOUT_S): Promise<boolean> {
    return (await this.#call('untilLost', { timeout: timeoutSeconds })) as boolean;
  }

  /**
   * The original's own disconnect. As long as its receiving thread waits for bytes the socket stays open,
   * and it waits a second for that thread.
   */
  async disconnect(): Promise<void> {
    assert.equal(await this.#call('disconnect', {}), true, 'the client calls itself connected');
  }

  #call(command: string, values: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#python.call({ ...values, do: command, lane: this.lane });
  }
}

/** A server of the original package, listening on a free port of 127.0.0.1. */
export class PythonServer {
  readonly #python: PythonProcess;
  readonly port: number;

  private constructor(python: PythonProcess, port: number) {
    this.#python = python;
    this.port = port;
  }

  static async start(): Promise<PythonServer> {
    const python = await PythonProcess.start('server');
    const { port } = (await python.call({ do: 'start' })) as { port: number };
    return new PythonServer(python, port);
  }

  /** `echo` answers with the payload, through `payload.connection_id`; `fail` raises; `silent` does nothing. */
  async handle(
    app: string,
    channel: string,
    behaviour: 'echo' | 'fail' | 'silent',
    type: 'request' | 'notification' = 'request',
  ): Promise<void> {
    await this.#call('handle', { app, channel, behaviour, type });
  }

  /** The next message that a handler of the channel was called with. */
  async handled(channel: string): Promise<PythonMessage> {
    const event = await this.#python.next(
      `a handler on ${channel}`,
      (event) => event.event === 'handled' && event.channel === channel,
    );
    return event.message as PythonMessage;
  }

  /** Sends to the subscribers of a channel; gives the id of the message. */
  async publish(app: string, channel: string, payload: unknown, type = 'publish'): Promise<string> {
    return (await this.#call('publish', { app, channel, payload, type })) as string;
  }

  async broadcast(app: string, channel: string, payload: unknown): Promise<string> {
    return (await this.#call('broadcast', { app, channel, payload })) as string;
  }

  async subscribers(app: string, channel: string): Promise<readonly string[]> {
    return (await this.#call('subscribers', { app, channel })) as readonly string[];
  }

  async applications(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#call('applications', {})) as Record<string, unknown>;
  }

  async stats(): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#call('stats', {})) as Record<string, unknown>;
  }

  /** The original has no event for it: asks until its statistics say so. */
  async untilConnections(count: number): Promise<void> {
    while ((await this.stats())['total_connections'] !== count);
  }

  /** Cuts one connection. */
  async drop(connectionId: string): Promise<void> {
    await this.#call('drop', { connectionId });
  }

  async stop(): Promise<void> {
    await this.#call('stop', {});
  }

  async close(): Promise<void> {
    await this.#python.close();
  }

  #call(command: string, values: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#python.call({ ...values, do: command });
  }
}
