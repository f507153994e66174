// `isthmus pipe`: listens on a named pipe, or sends to one. No server is needed.

import { isUtf8 } from 'node:buffer';
import { spawn } from 'node:child_process';
import { command, type Context, EXIT, type Input, UsageFault } from './command.ts';
import { jsonValue, onOneLine, printable, readStdin } from './payload-text.ts';

const OPTIONS = {
  directory: {
    kind: 'text',
    placeholder: 'DIR',
    short: 'd',
    help: 'Where the pipe is; default the working directory',
    names: 'file',
  },
  timeout: {
    kind: 'integer',
    placeholder: 'MS',
    short: 't',
    min: 0,
    max: 2 ** 31 - 1,
    help: 'listen: end after so many milliseconds without a message, default never; send: give up after so many, default 30000; 0 is never',
  },
  exec: {
    kind: 'text',
    placeholder: 'CMD',
    help: 'listen: run a shell command for each message, with the message on its stdin; exit code 0 acknowledges',
  },
  'max-messages': {
    kind: 'integer',
    placeholder: 'N',
    short: 'n',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    help: 'listen: end after so many messages; 0, the default, is no limit',
  },
  'die-code': {
    kind: 'text',
    placeholder: 'TEXT',
    help: 'listen: the message that ends it; default PIPECOM_DIE',
  },
  mode: { kind: 'text', placeholder: 'OCTAL', help: 'listen: permissions of the FIFOs; default 600' },
  json: { kind: 'flag', help: 'listen: print each message as a JSON string; one that is no UTF-8 as { base64 }' },
  attempts: {
    kind: 'integer',
    placeholder: 'N',
    min: 0,
    max: 1_000_000,
    help: 'send: how often it is tried while nobody listens, default 1; 0 is until the time-out',
  },
  id: { kind: 'text', placeholder: 'ID', help: 'send: the listener processes a message of this id once' },
} as const;

const LINE_END = Buffer.from('\n');

type PipeInput = Input<typeof OPTIONS>;

/** The action that a flag belongs to; the flags that are not here belong to both. */
const ACTION_OF: { readonly [K in keyof typeof OPTIONS]?: 'listen' | 'send' } = {
  exec: 'listen',
  'max-messages': 'listen',
  'die-code': 'listen',
  mode: 'listen',
  json: 'listen',
  attempts: 'send',
  id: 'send',
};

export const pipe = command({
  name: 'pipe',
  summary: 'Listen on a named pipe, or send to one',
  usage: 'listen|send NAME [MESSAGE]',
  words: { min: 2, max: 3, choices: ['listen', 'send'] },
  description: [
    'listen prints each message and a line end; on a terminal, a message with control characters is shown as a JSON string, and one that is no UTF-8 in base64. A message is acknowledged when it is written.',
    'send ends when the message is acknowledged. Without MESSAGE, or with -, it is read from stdin, as it is.',
  ],
  options: OPTIONS,
  examples: [
    ['pipe listen jobs', 'until Ctrl-C'],
    ["pipe listen jobs --exec 'sh handle.sh'", 'a command for each message'],
    ["pipe send jobs 'tidy up'", 'a text'],
    ['pipe send jobs --attempts 0 < job.txt', 'a file; waits for a listener'],
  ],
  run,
});

function run(input: PipeInput, context: Context): Promise<number> {
  const [action, name = '', message] = input.words;
  for (const [flag, owner] of Object.entries(ACTION_OF)) {
    if (owner !== action && input.sources[flag as keyof typeof OPTIONS] === 'flag') {
      throw new UsageFault(`--${flag} is of ${owner}, not of ${action}`);
    }
  }
  if (action === 'send') return sendOne(name, message, input, context);
  if (message !== undefined) throw new UsageFault(`unexpected '${message}'; listen takes no message`);
  return listen(name, input, context);
}

async function listen(name: string, { values }: PipeInput, context: Context): Promise<number> {
  const { signal, terminal } = context;
  const mode = values.mode === undefined ? undefined : octal(values.mode);
  const { Pipe } = await import('../pipe/index.ts');
  const failures: Error[] = [];
  const listener = new Pipe(name, (message) => take(message, values, context), {
    format: 'either',
    daemon: false,
    directory: values.directory,
    timeout: values.timeout,
    maxMessages: values['max-messages'],
    dieCode: values['die-code'],
    mode,
    signal,
    onError: (error) => failures.push(error),
  });
  await listener.listen();
  const { path } = listener;
  terminal.log('info', 'listening', `Listens on ${printable(path)}.`, { path });
  await listener.closed;
  // Whoever interrupts during the last message learns so, although that message is finished first.
  signal.throwIfAborted();
  for (const failure of failures) throw failure;
  return EXIT.ok;
}

/** When it rejects, the sender is told that its message was not processed. */
async function take(
  message: string | Buffer,
  { exec, json }: PipeInput['values'],
  { terminal }: Context,
): Promise<void> {
  if (exec !== undefined) return execute(exec, message);
  // What was piped in comes as bytes, and is text all the same when it is UTF-8.
  const payload = typeof message !== 'string' && isUtf8(message) ? message.toString() : message;
  if (json) return terminal.deliver(`${JSON.stringify(jsonValue(payload))}\n`);
  if (terminal.interactive) return terminal.deliver(`${onOneLine(payload)}\n`);
  return terminal.deliver(typeof payload === 'string' ? `${payload}\n` : Buffer.concat([payload, LINE_END]));
}

function execute(shellCommand: string, message: string | Buffer): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn(shellCommand, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code, by) => {
      if (code === 0) done();
      else reject(new Error(by === null ? `the command exited with ${code}` : `the command was ended by ${by}`));
    });
    // A command that does not read its input is free not to.
    child.stdin.on('error', () => {});
    child.stdin.end(message);
  });
}

async function sendOne(
  name: string,
  word: string | undefined,
  { values }: PipeInput,
  context: Context,
): Promise<number> {
  const message = word === undefined || word === '-' ? await readStdin(context) : word;
  const { send } = await import('../pipe/index.ts');
  await send(name, message, {
    directory: values.directory,
    timeout: values.timeout,
    maxAttempts: values.attempts,
    id: values.id,
    signal: context.signal,
  });
  return EXIT.ok;
}

function octal(text: string): number {
  if (!/^0?[0-7]{1,3}$/.test(text)) throw new UsageFault(`--mode: expected three octal digits, got '${text}'`);
  return Number.parseInt(text, 8);
}
