// Runs the Python package PipeCom in processes of its own: a listener that reports what it receives, and
// senders that report what came of it. `ISTHMUS_PYTHON` names the interpreter; default python3.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { endsWithUs } from '../support/child-process.ts';

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

/** An interpreter that ends with this process. */
function startPython(folder: string, ...args: string[]) {
  const child = endsWithUs(spawn(PYTHON, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] }));
  // Whoever writes to one that has died learns it by its end.
  child.stdin.on('error', () => {});
  return { child, closed: once(child, 'close') };
}

type Python = ReturnType<typeof startPython>;

/** A listener of PipeCom. */
export class PythonListener {
  readonly messages: string[] = [];
  readonly #python: Python;
  #waiters: (() => void)[] = [];
  #isReady = false;
  #isGone = false;

  constructor(folder: string, name: string, options: Record<string, unknown> = {}) {
    this.#python = startPython(folder, '-c', LISTENER, name, JSON.stringify(options));
    createInterface(this.#python.child.stdout).on('line', (line) => {
      const [kind, value] = JSON.parse(line) as [string, string];
      if (kind === 'ready') this.#isReady = true;
      else this.messages.push(value);
      this.#changed();
    });
    void this.#python.closed.then(() => {
      this.#isGone = true;
      this.#changed();
    });
  }

  /** Resolves when senders find it. */
  ready(): Promise<void> {
    return this.until(() => this.#isReady);
  }

  /** Resolves when it is so; rejects when the process has ended before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#isGone) throw new Error('the listener of PipeCom ended');
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Ends the process; it leaves its FIFOs, as PipeCom does. */
  async kill(): Promise<void> {
    this.#python.child.kill('SIGKILL');
    await this.#python.closed;
  }

  #changed(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

export type PythonResult = true | [code: string, text: string];

/** One process that sends with PipeCom, message by message. */
export class PythonSender {
  readonly #python: Python;
  readonly #results: ((result: PythonResult) => void)[] = [];

  constructor(folder: string) {
    this.#python = startPython(folder, '-c', SENDER);
    const lines = createInterface(this.#python.child.stdout);
    lines.on('line', (line) => this.#results.shift()?.(JSON.parse(line) as PythonResult));
  }

  /** What came of it; rejects when the process ends before it says so. */
  send(name: string, message: string, timeoutS = 20): Promise<PythonResult> {
    return new Promise((resolve, reject) => {
      this.#results.push(resolve);
      void this.#python.closed.then(() => reject(new Error('the sender of PipeCom ended')));
      this.#python.child.stdin.write(`${JSON.stringify({ name, message, timeout: timeoutS })}\n`);
    });
  }

  async end(): Promise<void> {
    this.#python.child.stdin.end();
    await this.#python.closed;
  }

  async kill(): Promise<void> {
    this.#python.child.kill('SIGKILL');
    await this.#python.closed;
  }
}
