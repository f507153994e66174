// `isthmus pub`: publishes one message and says how many got it.

import { command, type Context, EXIT, type Input } from './command.ts';
import { CLIENT_OPTIONS, makeClient, flagsFor, placeOf } from './connection.ts';
import { readPayload, TYPES } from './payload-text.ts';

const OPTIONS = {
  ...CLIENT_OPTIONS,
  retain: { kind: 'flag', short: 'r', help: 'Keep it as the last value of the channel, for subscribers to come' },
  type: {
    kind: 'text',
    placeholder: 'TYPE',
    choices: TYPES,
    help: 'What MESSAGE is: text, json or bytes; default text',
  },
  json: { kind: 'flag', help: 'MESSAGE is JSON, and so is what is printed' },
} as const;

export const pub = command({
  name: 'pub',
  summary: 'Publish a message to a channel',
  usage: 'CHANNEL [MESSAGE]',
  words: { min: 1, max: 2 },
  description: ['Prints how many subscriptions got it. Without MESSAGE, or with -, it is read from stdin.'],
  options: OPTIONS,
  examples: [
    ["pub news.today 'it works'", 'a text'],
    [`pub --json orders.new '{"id":7}'`, 'an object'],
    ['pub --type bytes pictures < cat.jpg', 'a file'],
  ],
  run,
});

async function run(input: Input<typeof OPTIONS>, context: Context): Promise<number> {
  const { terminal, signal, program } = context;
  const [channel = '', word] = input.words;
  const { json, type, retain, app } = input.values;
  const payload = await readPayload({ word, type, json }, context);
  const client = await makeClient(input, { reconnect: false });
  try {
    // A name that is none is told as such, and without a server.
    client.onNotification(channel, () => {})();
    await client.connect({ signal });
    const receivers = await client.publishConfirmed(channel, payload, { retain, signal });
    if (json) await terminal.line(JSON.stringify({ channel, receivers }));
    else await terminal.line(`${receivers} receiver${receivers === 1 ? '' : 's'}`);
    if (receivers === 0 && !json && terminal.interactive) {
      const flags = `${flagsFor(placeOf(input))}${app === 'demo' ? '' : ` --app ${app}`}`;
      const hint = `Nobody subscribes to it now. In another terminal: ${program} sub${flags} '${channel}'`;
      terminal.log('info', 'unheard', terminal.style('dim', hint));
    }
    return EXIT.ok;
  } finally {
    await client.disconnect();
  }
}
