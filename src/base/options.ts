// Checks of options at the door. A wrong option is thrown at once and names option, value and range;
// inside, nothing is optional any more.

import { ipcError, type IPCError } from './errors.ts';

export function invalidOption(name: string, value: unknown, expected: string): IPCError {
  return ipcError('USAGE_INVALID_OPTION', `option ${name}: expected ${expected}, got ${show(value)}`, {
    details: { option: name, value, expected },
  });
}

export interface IntegerRange {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/** An integer of the range, or the default where the option is not given. */
export function integerOption(name: string, value: unknown, range: IntegerRange): number {
  if (value === undefined) return range.default;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < range.min || value > range.max) {
    throw invalidOption(name, value, `an integer from ${range.min} to ${range.max}`);
  }
  return value;
}

export function booleanOption(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw invalidOption(name, value, 'true or false');
  return value;
}

export function stringOption(name: string, value: unknown, fallback: string): string {
  if (value === undefined) return fallback;
  if (typeof value !== 'string' || value === '') throw invalidOption(name, value, 'a text that is not empty');
  return value;
}

export function choiceOption<T extends string>(name: string, value: unknown, choices: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalidOption(name, value, `one of ${choices.map((c) => `'${c}'`).join(', ')}`);
  return found;
}

export function signalOption(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw invalidOption(name, value, 'an AbortSignal');
}

/** A function, such as a handler. */
export function functionOption(name: string, value: unknown): void {
  if (typeof value !== 'function') throw invalidOption(name, value, 'a function');
}

/** Throws for what are no options, and for a misspelt one: every key must be one that is known. */
export function knownOptions(where: string, options: unknown, known: readonly string[]): asserts options is object {
  if (typeof options !== 'object' || options === null) throw invalidOption(where, options, 'an object with options');
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw invalidOption(`${where}.${key}`, 'given', `no such option; there are ${known.join(', ')}`);
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}
