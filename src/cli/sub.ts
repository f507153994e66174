// `isthmus sub`: prints what is published, one line a message.

import type { IPCClient, Message, Subscription } from '../client/index.ts';
import { command, type Context, EXIT, type Input } from './command.ts';
import { CLIENT_OPTIONS, makeClient, placeOf, showPlace } from './connection.ts';
import { jsonValue, onOneLine, printable } from './payload-text.ts';

const POLICIES = ['block', 'drop-oldest', 'drop-newest', 'latest-only', 'disconnect'] as const;

const OPTIONS = {
  ...CLIENT_OPTIONS,
  count: {
    kind: 'integer',
    placeholder: 'N',
    short: 'n',
    min: 1,
    max: 2 ** 31 - 1,
    help: 'End after so many messages',
  },
  policy: {
    kind: 'text',
    placeholder: 'POLICY',
    choices: POLICIES,
    help: `What the server does when this is too slow: ${POLICIES.join(', ')}`,
  },
  json: { kind: 'flag', help: 'Print each message as a JSON object: channel, payload, timestamp' },
} as const;

export const sub = command({
  name: 'sub',
  summary: 'Print what is published',
  usage: 'PATTERN...',
  words: { min: 1, max: 100 },
  description: [
    "In a pattern, * stands for one word between dots, and a last > for one or more: 'orders.*', 'orders.>'. Quote them.",
    'A message that several of the patterns match is printed once for each. After a loss the command comes back by itself.',
  ],
  options: OPTIONS,
  examples: [
    ["sub 'news.*'", 'until Ctrl-C'],
    ["sub --json --count 1 'orders.>'", 'one message, for a script'],
  ],
  run,
});

async function run(input: Input<typeof OPTIONS>, context: Context): Promise<number> {
  const client = await makeClient(input);
  try {
    const show = new Output(input, context);
    const ended = follow(client, show, context);
    // Until it is awaited below, a failure must not count as unhandled.
    ended.catch(() => {});
    const options =
      input.values.policy === undefined ? {} : { policy: input.values.policy as (typeof POLICIES)[number] };
    // Before it is connected, so that a wrong pattern is told as such, and without a server.
    const subscriptions: Subscription[] = [];
    for (const pattern of input.words) {
      const subscription = await client.subscribe(pattern, (message) => show.message(message), options);
      subscriptions.push(subscription);
      sayLost(subscription, context);
    }
    await client.connect({ signal: context.signal });
    // Where one was refused, `ended` says why.
    if (subscriptions.every(({ active }) => active)) saySubscribed(input, context);
    await ended;
    return EXIT.ok;
  } finally {
    await client.disconnect();
  }
}

function saySubscribed(input: Input<typeof OPTIONS>, { terminal }: Context): void {
  const { words } = input;
  const { app } = input.values;
  const server = showPlace(placeOf(input));
  const what = words.map((word) => terminal.style('bold', word)).join(', ');
  terminal.log('info', 'subscribed', `Subscribed to ${what} of ${app} on ${server}.`, { patterns: words, app, server });
  for (const word of words) {
    if (!word.split('.').includes('')) continue;
    const text = `'${word}' has an empty word beside a dot; only channels with that very dot match.`;
    terminal.log('warn', 'empty-word', terminal.style('yellow', text), { pattern: word });
  }
}

/** Prints messages in order, and knows when there were enough. */
class Output {
  readonly enough: Promise<void>;
  readonly #input: Input<typeof OPTIONS>;
  readonly #context: Context;
  readonly #named: boolean;
  #left: number;
  #done: () => void = () => {};

  constructor(input: Input<typeof OPTIONS>, context: Context) {
    this.#input = input;
    this.#context = context;
    this.#left = input.values.count ?? Number.POSITIVE_INFINITY;
    this.#named = input.words.length > 1 || input.words.some((word) => /[*>]/.test(word));
    this.enough = new Promise((resolve) => {
      this.#done = resolve;
    });
  }

  /** Resolves when the reader of stdout has taken it: until then the server keeps what follows. */
  async message(message: Message): Promise<void> {
    if (this.#left <= 0) return;
    this.#left -= 1;
    const last = this.#left <= 0;
    await this.#context.terminal.line(this.#lineOf(message));
    if (last) this.#done();
  }

  #lineOf(message: Message): string {
    const { channelId, payload, timestamp } = message;
    if (this.#input.values.json) {
      return JSON.stringify({
        channel: channelId,
        payload: jsonValue(payload),
        timestamp: Math.round(timestamp * 1000),
      });
    }
    const text = onOneLine(payload);
    return this.#named ? `${this.#context.terminal.styleOut('cyan', printable(channelId))}  ${text}` : text;
  }
}

/** Resolves when there were enough messages; rejects when it was interrupted or the server is gone for good. */
function follow(client: IPCClient, output: Output, { terminal, signal }: Context): Promise<void> {
  client.on('disconnected', (error, returning) => {
    if (returning)
      terminal.log('warn', 'disconnected', `Lost the server: ${error.message}. Trying to come back.`, {
        code: error.code,
      });
  });
  client.on('connected', ({ connectionId, returned }) => {
    if (!returned) return;
    const answered = (): void => {
      if (client.connectionId !== connectionId) return;
      terminal.log('info', 'reconnected', 'Back; subscribed again. What was published meanwhile is missing.');
    };
    client.connect().then(answered, () => {
      // It was lost again, for good: that is told as such.
    });
  });
  return new Promise((resolve, reject) => {
    client.on('error', reject);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    void output.enough.then(resolve);
  });
}

function sayLost(subscription: Subscription, { terminal }: Context): void {
  const { pattern } = subscription;
  subscription.onLost((count, cause) => {
    const text = `Lost ${count} message${count === 1 ? '' : 's'} of ${pattern} (${cause}), ${subscription.lost} so far.`;
    terminal.log('warn', 'lost', terminal.style('yellow', text), { pattern, count, cause, total: subscription.lost });
  });
}
