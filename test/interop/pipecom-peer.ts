// Runs the Python package PipeCom in processes of its own: a listener that reports what it receives, and
// senders that report what came of it. `ISTHMUS_PYTHON` names the interpreter; default python3.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PYTHON = process.env['ISTHMUS_PYTHON'] ?? 'python3';

/** The reason to skip, or false when PipeCom can be imported. */
export const withoutPipeCom: string | false =
  process.platform !== 'win32' && spawnSync(PYTHON, ['-c', 'import pipecom']).status === 0
    ? false
    : `${PYTHON} cannot import pipecom`;

const LISTENER = `
import json, os, pipecom, sys, threading
options = json.loads(sys.argv[2])
fails_on = options.pop('fails_on', None)
echo = options.pop('echo', False)
def tell(kind, value):
    sys.stdout.write(json.dumps([kind, value]) + "\\n"); sys.stdout.flush()
def callback(message):
    tell('message', message)
    if message == fails_on:
        raise ValueError('asked to fail')
    return 're: ' + message if echo else None
threading.excepthook = lambda args: None
pipecom.Pipe(sys.argv[1], callback, **options).listen()
while not os.path.exists(sys.argv[1] + '_ack'):
    pass
tell('ready', None)
sys.stdin.read()
os._exit(0)
`;

const SENDER = `
import json, pipecom, sys
for line in sys.stdin:
    order = json.loads(line)
    try:
        result = pipecom.send(order['name'], order['message'], timeout=order['timeout'])
    except pipecom.PipeError as error:
        result = [error.error_code, str(error)]
    sys.stdout.write(json.dumps(result) + "\\n"); sys.stdout.flush()
`;

/** A listener of PipeCom. */
export class PythonListener {
  readonly messages: string[] = [];
  readonly #child: ChildProcess;
  #waiters: (() => void)[] = [];
  #isReady = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('no standard output');
    createInterface(child.stdout).on('line', (line) => {
      const [kind, value] = JSON.parse(line) as [string, string];
      if (kind === 'ready') this.#isReady = true;
      else this.messages.push(value);
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  static async start(folder: string, name: string, options: Record<string, unknown> = {}): Promise<PythonListener> {
    const child = spawn(PYTHON, ['-c', LISTENER, name, JSON.stringify(options)], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const listener = new PythonListener(child);
    await listener.until(() => listener.#isReady);
    return listener;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends the process; it leaves its FIFOs, as PipeCom does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'close');
  }
}

export type PythonResult = true | [code: string, text: string];

/** One process that sends with PipeCom, message by message. */
export class PythonSender {
  readonly #child: ChildProcess;
  readonly #results: ((result: PythonResult) => void)[] = [];

  constructor(folder: string) {
    this.#child = spawn(PYTHON, ['-c', SENDER], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('no standard output');
    createInterface(this.#child.stdout).on('line', (line) => this.#results.shift()?.(JSON.parse(line) as PythonResult));
  }

  send(name: string, message: string, timeoutS = 20): Promise<PythonResult> {
    return new Promise((resolve) => {
      this.#results.push(resolve);
      this.#child.stdin?.write(`${JSON.stringify({ name, message, timeout: timeoutS })}\n`);
    });
  }

  async end(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin?.end();
    await closed;
  }

  async kill(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
  }
}
