// `isthmus pipe`: listen on a named pipe, or send to one.

import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { Pipe, PipeError, send } from '../pipe/index.ts';

const USAGE = `isthmus pipe listen NAME [options]          print each message, one a line
isthmus pipe listen NAME --exec CMD         run CMD for each, with the message on its standard input
isthmus pipe send NAME [MESSAGE] [options]  send MESSAGE, or standard input when it is left out or is -

listen:
  --exec CMD          a shell command; the message is acknowledged when it exits with 0
  --timeout MS        stop after so long without a message (default: never)
  --max-messages N    stop after so many messages (default: no limit)
  --die-code TEXT     the message that stops the listener (default PIPECOM_DIE)
  --mode OCTAL        permissions of the FIFOs (default 600)
  --json              each message as a JSON string
send:
  --timeout MS        give up after so long (default 30000; 0: never)
  --attempts N        how often to try when nobody listens (default 1; 0: until the time-out)
  --id ID             the listener processes an id once
both:
  --directory DIR     where the pipe is (default: the working directory)`;

const OPTIONS = {
  exec: { type: 'string' },
  timeout: { type: 'string' },
  'max-messages': { type: 'string' },
  'die-code': { type: 'string' },
  mode: { type: 'string' },
  json: { type: 'boolean' },
  attempts: { type: 'string' },
  id: { type: 'string' },
  directory: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const LISTEN_FLAGS = ['exec', 'timeout', 'max-messages', 'die-code', 'mode', 'json', 'directory'];
const SEND_FLAGS = ['timeout', 'attempts', 'id', 'directory'];

const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 };

class UsageError extends Error {
  override readonly name = 'UsageError';
}

type Flags = ReturnType<typeof parse>['values'];

export const pipeCommand = {
  name: 'pipe',
  summary: 'listen on a named pipe, or send to one',
  usage: USAGE,
  /** Gives the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
  async run(args: string[]): Promise<number> {
    try {
      return await dispatch(args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      process.stderr.write(`isthmus pipe: ${error.message}\n`);
      return isUsage(error) ? EXIT.usage : EXIT.failed;
    }
  },
};

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function dispatch(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return EXIT.done;
  }
  const [action, name, message, ...rest] = positionals;
  if (action !== 'listen' && action !== 'send') {
    throw new UsageError('say "listen NAME" or "send NAME [MESSAGE]"; --help tells more');
  }
  if (name === undefined) throw new UsageError(`${action}: the name of the pipe is missing`);
  const known = action === 'listen' ? LISTEN_FLAGS : SEND_FLAGS;
  for (const flag of Object.keys(values)) {
    if (!known.includes(flag)) throw new UsageError(`${action}: there is no --${flag}`);
  }
  if (rest.length > 0 || (action === 'listen' && message !== undefined)) {
    throw new UsageError(`${action}: too many arguments`);
  }
  return action === 'listen' ? listen(name, values) : sendOne(name, message, values);
}

async function listen(name: string, flags: Flags): Promise<number> {
  const interrupted = new AbortController();
  const pipe = new Pipe(name, (message) => take(message, flags), {
    daemon: false,
    directory: flags.directory,
    timeout: integer('timeout', flags.timeout),
    maxMessages: integer('max-messages', flags['max-messages']),
    dieCode: flags['die-code'],
    mode: flags.mode === undefined ? undefined : octal(flags.mode),
    signal: interrupted.signal,
  });
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    await pipe.listen();
    process.stderr.write(`listening on ${name}\n`);
    return (await pipe.closed) === 'aborted' ? EXIT.interrupted : EXIT.done;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

async function take(message: string, flags: Flags): Promise<void> {
  if (flags.exec !== undefined) return execute(flags.exec, message);
  const line = flags.json === true ? JSON.stringify(message) : message;
  // Acknowledged when it is written: a message that nobody could read must not count as processed.
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

function execute(command: string, message: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new Error(signal === null ? `the command exited with ${code}` : `the command was ended by ${signal}`));
    });
    // A command that does not read its input is free not to.
    child.stdin.on('error', () => {});
    child.stdin.end(message);
  });
}

async function sendOne(name: string, message: string | undefined, flags: Flags): Promise<number> {
  const content = message === undefined || message === '-' ? await buffer(process.stdin) : message;
  await send(name, content, {
    directory: flags.directory,
    timeout: integer('timeout', flags.timeout),
    maxAttempts: integer('attempts', flags.attempts),
    id: flags.id,
  });
  return EXIT.done;
}

function integer(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${flag}: expected a whole number, got '${text}'`);
  return Number(text);
}

function octal(text: string): number {
  if (!/^0?[0-7]{1,3}$/.test(text)) throw new UsageError(`--mode: expected three octal digits, got '${text}'`);
  return Number.parseInt(text, 8);
}

function isUsage(error: Error): boolean {
  if (error instanceof UsageError) return true;
  if (error instanceof PipeError) return error.errorCode === 'INVALID_PIPE_NAME';
  return 'code' in error && error.code === 'USAGE_INVALID_OPTION';
}
