// What went wrong, as one line for a person with what to do about it, and as an exit code for a script.

import { debuglog } from 'node:util';
import { type Context, EXIT, Interruption, UsageFault } from './command.ts';
import { flagsFor } from './connection.ts';

const debug = debuglog('isthmus');

/** What a person can do about an error, by its code. */
const ADVICE: Readonly<Record<string, (program: string, error: Error) => string>> = {
  NETWORK_CONNECT_FAILED: (program, error) => {
    const flags = flagsToServe(error);
    const start = flags === undefined ? '' : `start one with '${program} serve${flags}', or `;
    return `${start}say where it is: --port, --host, --path or --url`;
  },
  NETWORK_PORT_IN_USE: () => 'take another with --port, or --port 0 for a free one',
  NETWORK_PATH_OCCUPIED: () => 'take another --path',
  NETWORK_PERMISSION: () => 'take another --port or --path, or ask who owns this one',
  USAGE_INSECURE: () => 'give --token to let in only who knows it, or --insecure to let in everybody',
  REMOTE_UNAUTHENTICATED: () => 'give the token of the server with --token or ISTHMUS_TOKEN',
  LIMIT_CONNECTIONS: () => 'start the server with a larger --max-connections',
};

/** The same for named pipes, which need no server. */
const PIPE_ADVICE: typeof ADVICE = {
  NETWORK_CONNECT_FAILED: (program, error) =>
    `start one with '${program} pipe listen ${pipeNamed(error)}', say where it is with --directory, or wait for it with --attempts 0`,
  NETWORK_PATH_OCCUPIED: () => 'take another name or --directory',
  NETWORK_PERMISSION: () => 'take another --directory, or ask who owns this one',
};

/** The name of the pipe, where it can be typed as it is. */
function pipeNamed(error: Error): string {
  const { pipe } = 'details' in error ? (error.details as Readonly<Record<string, unknown>>) : {};
  return typeof pipe === 'string' && /^[\w./][\w./-]*$/.test(pipe) ? pipe : 'NAME';
}

/** Words of the library that the command says better. */
const WORDS: Readonly<Record<string, (message: string) => string>> = {
  NETWORK_CONNECT_FAILED: (message) =>
    message.replace(/^cannot connect to (\S+): .*(?:ECONNREFUSED|ENOENT).*/s, 'no server on $1'),
  USAGE_INSECURE: (message) => message.replace(/: give .*/s, ''),
};

/** The flags with which a server would listen where none was found; `undefined` where it cannot be this machine's. */
function flagsToServe(error: Error): string | undefined {
  const details = 'details' in error ? (error.details as Readonly<Record<string, unknown>>) : {};
  const [, path, host, port] =
    /^(?:unix:(.+)|tcp:\/\/(localhost|127\.0\.0\.1|\[::1\]):(\d+))$/.exec(String(details['address'])) ?? [];
  if (path !== undefined) return flagsFor({ path });
  return host === undefined ? undefined : flagsFor({ host: host.replaceAll(/[[\]]/g, ''), port: Number(port) });
}

/** Says what was thrown, where there is something to say, and gives the exit code. */
export function reportFault(thrown: unknown, where: string, context: Context): number {
  const interruption = interruptionOf(thrown, context.signal);
  if (interruption !== undefined) return exitCodeOf(interruption);
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  debug('%s', error.stack);
  const { terminal, program } = context;
  const prefix = terminal.style('red', where === '' ? 'isthmus:' : `isthmus ${where}:`);
  if (error instanceof UsageFault) {
    const { message } = error;
    const help = where === '' ? '--help' : `${where} --help`;
    // Whoever was told the right word needs no more.
    const pointer = message.includes('did you mean') ? '' : ` (see ${program} ${help})`;
    terminal.log('error', 'usage', `${prefix} ${oneLine(message)}${pointer}`, { message });
    return EXIT.usage;
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const message = oneLine((code === undefined ? undefined : WORDS[code]?.(error.message)) ?? error.message);
  const advices = error.name === 'PipeError' ? PIPE_ADVICE : ADVICE;
  const advice = code === undefined ? undefined : advices[code]?.(program, error);
  terminal.log('error', 'failed', `${prefix} ${message}${advice === undefined ? '' : `; ${advice}`}`, {
    ...(code !== undefined && { code }),
    message,
    ...(advice !== undefined && { advice }),
  });
  return code?.startsWith('USAGE_INVALID') === true || code === 'USAGE_INSECURE' ? EXIT.usage : EXIT.failure;
}

export function exitCodeOf(interruption: Interruption): number {
  switch (interruption.by) {
    case 'SIGINT':
      return EXIT.interrupted;
    case 'SIGTERM':
      return EXIT.terminated;
    case 'output-closed':
      // Whoever read has what he wanted, as `head` does.
      return EXIT.ok;
  }
}

/** Whatever failed because the command was interrupted did not fail by itself. */
function interruptionOf(thrown: unknown, signal: AbortSignal): Interruption | undefined {
  if (thrown instanceof Interruption) return thrown;
  const reason: unknown = signal.reason;
  return reason instanceof Interruption ? reason : undefined;
}

/** A peer's text must not paint the terminal, nor make two lines of one. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, '\u{fffd}');
}
