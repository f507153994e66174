// Reads the arguments of one command by its row of the table. What is wrong is said in one line, with the
// nearest right word.

import { parseArgs } from 'node:util';
import { type Command, type Option, UsageFault } from './command.ts';
import { nearest } from './nearest.ts';

export interface Arguments {
  readonly given: ReadonlyMap<string, string | true>;
  readonly words: readonly string[];
}

/** Options that every command has. */
export const COMMON_OPTIONS = {
  config: {
    kind: 'text',
    placeholder: 'FILE',
    help: 'Configuration file; default isthmus.config.json, where there is one',
    names: 'file',
  },
  help: { kind: 'flag', short: 'h', help: 'Show this' },
} as const satisfies Readonly<Record<string, Option>>;

/** Throws a `UsageFault`. */
export function readArguments(command: Command, args: readonly string[]): Arguments {
  const options: Readonly<Record<string, Option>> = { ...command.options, ...COMMON_OPTIONS };
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { kind, short }]) => [
        name,
        { type: kind === 'flag' ? ('boolean' as const) : ('string' as const), ...(short !== undefined && { short }) },
      ]),
    ),
    allowPositionals: true,
    // The faults of the parser are not one line; its tokens say all that is needed for better ones.
    strict: false,
    tokens: true,
  });
  const given = new Map<string, string | true>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (option === undefined) throw unknownFlag(rawName, options);
    if (given.has(name)) throw new UsageFault(`${rawName} is given twice`);
    given.set(name, valueOf(option, rawName, value, inlineValue));
  }
  if (!given.has('help')) checkWords(command, words);
  return { given, words };
}

function valueOf(option: Option, rawName: string, value: string | undefined, inline: boolean | undefined) {
  if (option.kind === 'flag') {
    if (value !== undefined) throw new UsageFault(`${rawName} takes no value`);
    return true;
  }
  if (value === undefined) throw new UsageFault(`${rawName} needs a value: ${rawName} ${option.placeholder}`);
  if (inline !== true && value.startsWith('-') && value.length > 1) {
    throw new UsageFault(`${rawName} needs a value; one that starts with a dash is written ${rawName}=${value}`);
  }
  return value;
}

function unknownFlag(rawName: string, options: Readonly<Record<string, Option>>): UsageFault {
  if (!rawName.startsWith('--')) {
    const dash = 'a word that starts with a dash goes behind --';
    return new UsageFault(`unknown flag ${rawName}; ${dash}`);
  }
  const meant = nearest(rawName.slice(2), Object.keys(options));
  return new UsageFault(`unknown flag ${rawName}${meant === undefined ? '' : `; did you mean --${meant}?`}`);
}

function checkWords(command: Command, words: readonly string[]): void {
  const { min, max, choices } = command.words;
  const [first] = words;
  if (first !== undefined && choices !== undefined && !choices.includes(first)) {
    const meant = nearest(first, choices);
    throw new UsageFault(
      `'${first}' is none of ${choices.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    );
  }
  if (words.length < min) throw new UsageFault(`${command.usage.split(' ')[words.length] ?? ''} is missing`);
  if (words.length > max) {
    const extra = words[max] ?? '';
    const quote = command.usage.includes('MESSAGE') ? '; a message of several words is quoted' : '';
    throw new UsageFault(`unexpected '${extra}'${quote}`);
  }
}
