// What a command is: one row of the table from which the arguments are read and help and shell completion
// are made.

import type { Terminal } from './terminal.ts';

interface OptionWords {
  /** One line of the help, without a full stop. */
  readonly help: string;
  /** One letter, for `-x`. */
  readonly short?: string;
  /** The environment variable that gives it where the flag does not. */
  readonly env?: string;
  /** Whether the configuration file may give it, under the flag's name in camel case. */
  readonly file?: boolean;
}

export interface FlagOption extends OptionWords {
  readonly kind: 'flag';
}

export interface TextOption extends OptionWords {
  readonly kind: 'text';
  /** Stands for the value in the help. */
  readonly placeholder: string;
  readonly default?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** Whether the value is the name of a file. */
  readonly names?: 'file';
  /** Not shown in messages. */
  readonly secret?: boolean;
}

export interface IntegerOption extends OptionWords {
  readonly kind: 'integer';
  readonly placeholder: string;
  readonly min: number;
  readonly max: number;
  readonly default?: number;
  /** How many of the flag's units are one unit of the environment variable. */
  readonly envFactor?: number;
}

export type Option = FlagOption | TextOption | IntegerOption;
export type OptionTable = Readonly<Record<string, Option>>;

/** Where a value came from. */
export type Source = 'default' | 'file' | 'environment' | 'flag';

type ValueOf<O extends Option> = O extends FlagOption
  ? boolean
  : O extends { readonly default: infer D }
    ? D extends number
      ? number
      : string
    : (O extends IntegerOption ? number : string) | undefined;

export type Values<T extends OptionTable> = { readonly [K in keyof T]: ValueOf<T[K]> };

/** What a command gets to run with. */
export interface Input<T extends OptionTable = OptionTable> {
  readonly values: Values<T>;
  readonly sources: { readonly [K in keyof T]: Source };
  /** What is neither flag nor value of a flag. */
  readonly words: readonly string[];
}

export interface Context {
  readonly terminal: Terminal;
  readonly commands: readonly Command[];
  /** Fires when the command is to end early; the reason is an {@link Interruption}. */
  readonly signal: AbortSignal;
  readonly version: string;
  /** How the user calls this program: `isthmus`, `npx isthmus`, … */
  readonly program: string;
}

interface CommandWords {
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** What follows the name and the options: `CHANNEL [MESSAGE]`. */
  readonly usage: string;
  /** How many words that may be, and what the first of them is where it is one of a few. */
  readonly words: { readonly min: number; readonly max: number; readonly choices?: readonly string[] };
  /** Paragraphs of the help. */
  readonly description?: readonly string[];
  /** What can be typed, with what it does. */
  readonly examples: readonly (readonly [args: string, what: string])[];
}

export interface Command extends CommandWords {
  readonly options: OptionTable;
  /** Gives the exit code. */
  run(input: Input, context: Context): Promise<number>;
}

interface TypedCommand<T extends OptionTable> extends CommandWords {
  readonly options: T;
  run(input: Input<T>, context: Context): Promise<number>;
}

/** A row of the table. `run` sees each option under its name, with the type that its kind gives. */
export function command<const T extends OptionTable>(row: TypedCommand<T>): Command {
  return { ...row, run: (input, context) => row.run(input as Input<T>, context) };
}

/** The arguments are wrong: one line, exit code 2. */
export class UsageFault extends Error {
  override readonly name = 'UsageFault';
}

/** The user or the system asked the command to end, or nobody reads its output any more. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly by: 'SIGINT' | 'SIGTERM' | 'output-closed';

  constructor(by: 'SIGINT' | 'SIGTERM' | 'output-closed') {
    super(by);
    this.by = by;
  }
}

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130, terminated: 143 } as const;
