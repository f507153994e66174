// `isthmus serve`: runs a server until it is told to stop, and shows a newcomer what to try.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IPCServer, ServerOptions } from '../server/index.ts';
import { command, type Context, EXIT, type Input, Interruption, UsageFault } from './command.ts';
import { ADDRESS_OPTIONS, flagsFor, type Place, placeOf } from './connection.ts';
import { addDemo } from './demo.ts';

const OPTIONS = {
  host: { ...ADDRESS_OPTIONS.host, help: 'Host to listen on; beyond this machine only with --token or --insecure' },
  port: { ...ADDRESS_OPTIONS.port, help: 'TCP port to listen on; 0 takes a free one' },
  path: { ...ADDRESS_OPTIONS.path, help: 'Unix socket to listen on, or Windows pipe, in place of TCP' },
  token: ADDRESS_OPTIONS.token,
  insecure: { kind: 'flag', help: 'Let in everybody who reaches the address', file: true },
  'max-connections': {
    kind: 'integer',
    placeholder: 'N',
    min: 1,
    max: 1_000_000,
    default: 100,
    help: 'Connections at a time',
    env: 'IPC_MAX_CONNECTIONS',
    file: true,
  },
  drain: {
    kind: 'integer',
    placeholder: 'MS',
    min: 0,
    max: 2 ** 31 - 1,
    default: 5000,
    help: 'Milliseconds that open requests may take to finish when stopping',
    file: true,
  },
  'no-demo': { kind: 'flag', help: "Without the application 'demo' and its channels", file: true },
  json: { kind: 'flag', help: 'Log as JSON lines' },
} as const;

export const serve = command({
  name: 'serve',
  summary: 'Run a server',
  usage: '',
  words: { min: 0, max: 0 },
  description: [
    'Runs until Ctrl-C or SIGTERM; then open requests may finish, and clients are told. A second Ctrl-C stops at once.',
    "The application 'demo' has the channels echo, time and countdown to call. Any channel can be published and subscribed.",
  ],
  options: OPTIONS,
  examples: [
    ['serve', 'on localhost, port 8888'],
    ['serve --path ./ipc.sock', 'on a Unix socket that only you can open'],
    ['serve --host 0.0.0.0 --token SECRET', 'for other machines as well'],
  ],
  run,
});

async function run(input: Input<typeof OPTIONS>, context: Context): Promise<number> {
  const { values } = input;
  const { terminal, signal } = context;
  const { IPCServer } = await import('../server/index.ts');
  const server = new IPCServer(serverOptions(input, context));
  if (!values['no-demo']) addDemo(server);
  server.on('fault', (error) => terminal.log('warn', 'fault', error.message, { message: error.message }));
  await server.start();
  sayListening(server, input, context);
  // A second signal is answered in main.ts: it does not wait.
  const interruption = await interrupted(signal);
  await stop(server, values.drain, context);
  return interruption.by === 'SIGINT' ? EXIT.interrupted : EXIT.ok;
}

function serverOptions(input: Input<typeof OPTIONS>, { terminal }: Context): ServerOptions {
  const { values } = input;
  const place = placeOf(input);
  if ('url' in place) throw new UsageFault('--url is for clients');
  const { token } = values;
  return {
    ...place,
    maxConnections: values['max-connections'],
    insecure: values.insecure,
    ...(token !== undefined && { authenticate: (credentials) => sameSecret(credentials.token, token) }),
    logger: {
      warn: (_details, message = 'fault') => terminal.log('warn', 'fault', message, { message }),
    },
  };
}

/** Compares digests, so that neither time nor length tells anything about the token. */
function sameSecret(given: string | undefined, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(wanted));
}

function sayListening(server: IPCServer, input: Input<typeof OPTIONS>, context: Context): void {
  const { terminal, version } = context;
  const { values } = input;
  const where = server.listening.join(', ');
  const { maxConnections } = server.getStats();
  const lines = [
    `${terminal.style('bold', `isthmus ${version}`)} listens on ${terminal.style('cyan', where)}`,
    '',
    ...(values['no-demo'] ? [] : newcomerLines(server, input, context)),
    terminal.style('dim', 'Ctrl-C stops it.'),
  ];
  terminal.log('info', 'listening', lines.join('\n'), {
    version,
    listening: server.listening,
    ...(values.path === undefined && { host: server.host, port: server.port }),
    maxConnections,
    pid: process.pid,
  });
}

/** What to type into another terminal, with everything that it needs to come here. */
function newcomerLines(server: IPCServer, input: Input<typeof OPTIONS>, { terminal, program }: Context): string[] {
  const place = placeOf(input);
  const reached: Place = 'host' in place ? { host: reachable(server.host), port: server.port } : place;
  const commands: readonly (readonly [line: string, what: string])[] = [
    ...(input.values.token === undefined ? [] : [['export ISTHMUS_TOKEN=…', 'the token of this server'] as const]),
    [`${program} call${flagsFor(reached)} echo hello`, 'a request and its response'],
    [`${program} call${flagsFor(reached)} countdown 5`, 'a response that streams'],
    [`${program} sub${flagsFor(reached)} 'news.*'`, 'prints what is published …'],
    [`${program} pub${flagsFor(reached)} news.today 'it works'`, '… from a third terminal'],
  ];
  const width = Math.max(...commands.map(([line]) => line.length));
  return [
    'In another terminal:',
    ...commands.map(([line, what]) => `  ${line.padEnd(width)}   ${terminal.style('dim', what)}`),
    '',
  ];
}

/** An address that means "every address" is no address to connect to. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? 'localhost' : host;
}

function interrupted(signal: AbortSignal): Promise<Interruption> {
  const reason = (): Interruption =>
    signal.reason instanceof Interruption ? signal.reason : new Interruption('SIGTERM');
  if (signal.aborted) return Promise.resolve(reason());
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(reason()), { once: true });
  });
}

async function stop(server: IPCServer, drain: number, { terminal }: Context): Promise<void> {
  const { requestsOpen, totalConnections: connections } = server.getStats();
  const who = connections === 0 ? '' : ` with ${counted(connections, 'connection')}`;
  const waiting = requestsOpen === 0 ? '' : `; ${counted(requestsOpen, 'request')} may finish within ${drain} ms`;
  // The terminal shows Ctrl-C as ^C on this line.
  terminal.log('info', 'stopping', `\nStopping${who}${waiting}.`, { requestsOpen, connections });
  await server.stop({ drain });
  terminal.log('info', 'stopped', 'Stopped.');
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
