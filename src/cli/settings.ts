// The value of each option: flag before environment before configuration file before default. Every value is
// checked here, and a wrong one is named by where it came from.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Arguments, COMMON_OPTIONS } from './arguments.ts';
import { type Command, type Input, type IntegerOption, type Option, type Source, UsageFault } from './command.ts';
import { nearest } from './nearest.ts';

const CONFIG_FILE = 'isthmus.config.json';

type Environment = Readonly<Record<string, string | undefined>>;
type Value = string | number | boolean;

/** Throws a `UsageFault`. */
export function resolveInput(
  command: Command,
  { given, words }: Arguments,
  commands: readonly Command[],
  environment: Environment,
): Input {
  const config = readConfig(given.get('config'), commands);
  const values: Record<string, Value | undefined> = {};
  const sources: Record<string, Source> = {};
  for (const [name, option] of Object.entries(command.options)) {
    [values[name], sources[name]] = resolveOption(name, option, given.get(name), config, environment);
  }
  return { values, sources, words };
}

function resolveOption(
  name: string,
  option: Option,
  flag: string | true | undefined,
  config: Config,
  environment: Environment,
): [Value | undefined, Source] {
  if (flag !== undefined) return [flag === true ? true : fromText(option, flag, `--${name}`, 1), 'flag'];
  const variable = option.env === undefined ? undefined : environment[option.env];
  if (variable !== undefined && variable !== '') {
    const factor = option.kind === 'integer' ? (option.envFactor ?? 1) : 1;
    return [fromText(option, variable, option.env ?? '', factor), 'environment'];
  }
  const kept = option.file === true ? config.values[configKey(name)] : undefined;
  if (kept !== undefined) return [fromJson(option, kept, `${config.file}: ${configKey(name)}`), 'file'];
  return [option.kind === 'flag' ? false : option.default, 'default'];
}

/** `max-connections` is `maxConnections` in the file. */
function configKey(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function fromText(option: Option, text: string, where: string, factor: number): Value {
  if (option.kind === 'integer') {
    const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) * factor : Number.NaN;
    return checkInteger(option, number, where, `'${text}'`, factor);
  }
  return checkText(option, text, where);
}

function fromJson(option: Option, value: unknown, where: string): Value {
  if (option.kind === 'flag') {
    if (typeof value !== 'boolean') throw new UsageFault(`${where}: expected true or false`);
    return value;
  }
  if (option.kind === 'integer') {
    return checkInteger(option, typeof value === 'number' ? value : Number.NaN, where, JSON.stringify(value), 1);
  }
  if (typeof value !== 'string') throw new UsageFault(`${where}: expected a text`);
  return checkText(option, value, where);
}

function checkInteger(
  { min, max }: IntegerOption,
  value: number,
  where: string,
  shown: string,
  factor: number,
): number {
  if (factor !== 1 && value >= min && value <= max) return Math.round(value);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  const kind = factor === 1 ? 'an integer' : 'a number';
  throw new UsageFault(`${where}: expected ${kind} from ${min / factor} to ${max / factor}, got ${shown}`);
}

function checkText(option: Option, text: string, where: string): string {
  if (text === '') throw new UsageFault(`${where}: expected a text that is not empty`);
  if (option.kind !== 'text' || option.choices === undefined || option.choices.includes(text)) return text;
  const meant = nearest(text, option.choices);
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw new UsageFault(`${where}: expected one of ${option.choices.join(', ')}, got '${text}'${hint}`);
}

interface Config {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

function readConfig(given: string | true | undefined, commands: readonly Command[]): Config {
  const path = typeof given === 'string' ? given : CONFIG_FILE;
  const file = basename(path);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' && given === undefined) return { file, values: {} };
    throw new UsageFault(`--config ${path}: ${code === 'ENOENT' ? 'no such file' : (thrown as Error).message}`);
  }
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (thrown) {
    throw new UsageFault(`${path}: ${(thrown as Error).message.replaceAll(/\s+/g, ' ')}`);
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new UsageFault(`${path}: expected a JSON object`);
  }
  checkKeys(path, values, commands);
  return { file, values: values as Config['values'] };
}

/** One file serves all commands, so a key is known when any of them has it. */
function checkKeys(path: string, values: object, commands: readonly Command[]): void {
  const tables = [COMMON_OPTIONS, ...commands.map((command) => command.options)];
  const known = new Set(
    tables.flatMap((table) => {
      const options: readonly (readonly [string, Option])[] = Object.entries(table);
      return options.filter(([, option]) => option.file === true).map(([name]) => configKey(name));
    }),
  );
  for (const key of Object.keys(values)) {
    if (known.has(key)) continue;
    const meant = nearest(key, known);
    throw new UsageFault(`${path}: unknown key '${key}'${meant === undefined ? '' : `; did you mean '${meant}'?`}`);
  }
}
