// `isthmus call`: sends a request and prints the response, or each item of a response that streams.

import type { IPCClient } from '../client/index.ts';
import { command, type Context, EXIT, type Input } from './command.ts';
import { CLIENT_OPTIONS, makeClient } from './connection.ts';
import { jsonValue, onOneLine, readPayload, TYPES } from './payload-text.ts';

const OPTIONS = {
  ...CLIENT_OPTIONS,
  timeout: {
    kind: 'integer',
    placeholder: 'MS',
    short: 't',
    min: 0,
    max: 2 ** 31 - 1,
    default: 5000,
    help: 'Milliseconds until the first answer; 0 waits for ever. The variable is in seconds',
    env: 'IPC_TIMEOUT',
    envFactor: 1000,
    file: true,
  },
  type: {
    kind: 'text',
    placeholder: 'TYPE',
    choices: TYPES,
    help: 'What MESSAGE is: text, json or bytes; default text',
  },
  json: { kind: 'flag', help: 'MESSAGE is JSON, and so is each line that is printed' },
} as const;

export const call = command({
  name: 'call',
  summary: 'Send a request and print the response',
  usage: 'CHANNEL [MESSAGE]',
  words: { min: 1, max: 2 },
  description: [
    'A response that streams is printed one line for each item. MESSAGE - is read from stdin; without one, the request is empty.',
    'Text is printed as it is; bytes as they are when stdout is no terminal.',
  ],
  options: OPTIONS,
  examples: [
    ['call echo hello', 'a text'],
    [`call --json sum '[1,2,3]'`, 'an array; prints JSON'],
    ['call countdown 5', 'a response that streams'],
  ],
  run,
});

async function run(input: Input<typeof OPTIONS>, context: Context): Promise<number> {
  const [channel = '', word] = input.words;
  const { json, type, timeout } = input.values;
  const payload = word === undefined ? undefined : await readPayload({ word, type, json }, context);
  const client = await makeClient(input, { reconnect: false });
  try {
    // A name that is none is told as such, and without a server.
    client.onNotification(channel, () => {})();
    await client.connect({ signal: context.signal });
    for await (const item of answers(client, channel, payload, timeout, context)) await print(item, json, context);
    return EXIT.ok;
  } finally {
    await client.disconnect();
  }
}

/** The items of the response; the first has its time. */
async function* answers(
  client: IPCClient,
  channel: string,
  payload: unknown,
  timeoutMs: number,
  { signal }: Context,
): AsyncGenerator<unknown, void> {
  const late = new AbortController();
  const timer = timeoutMs === 0 ? undefined : setTimeout(() => late.abort(), timeoutMs);
  try {
    for await (const item of client.stream(channel, payload, { signal: AbortSignal.any([signal, late.signal]) })) {
      clearTimeout(timer);
      yield item;
    }
  } catch (thrown) {
    if (!late.signal.aborted) throw thrown;
    throw new Error(`no answer on ${channel} within ${timeoutMs} ms; --timeout gives it more`, { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
}

async function print(item: unknown, json: boolean, { terminal }: Context): Promise<void> {
  if (json) await terminal.line(JSON.stringify(jsonValue(item)));
  else if (terminal.interactive) await terminal.line(onOneLine(item));
  else if (item instanceof Uint8Array) await terminal.write(item);
  else await terminal.line(typeof item === 'string' ? item : onOneLine(item));
}
