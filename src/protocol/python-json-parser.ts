// A parser for what Python's json module writes and JSON.parse refuses or rounds: bare NaN and
// Infinity, and integers of any size. Slower than the engine's, so it sees only the texts that need it.

import { ipcError, toError, type IPCError } from '../base/errors.ts';

/** Python's own limit on converting between integers and text. */
export const INTEGER_DIGITS_MAX = 4300;

const EXCERPT_LENGTH = 24;

/**
 * Recursive descent; the depth is bounded, so the stack is. Throws `PEER_MALFORMED_FRAME` for what is
 * no JSON and `PEER_MALFORMED_PAYLOAD` for what is beyond the limits.
 */
export class PythonJsonParser {
  readonly #text: string;
  readonly #nestingMax: number;
  #at = 0;

  constructor(text: string, nestingMax: number) {
    this.#text = text;
    this.#nestingMax = nestingMax;
  }

  parse(): unknown {
    const value = this.#value(0);
    this.#skipWhitespace();
    if (this.#at < this.#text.length) throw this.#unexpected('the end of the text');
    return value;
  }

  #value(depth: number): unknown {
    this.#skipWhitespace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      case 'N':
        return this.#word('NaN', Number.NaN);
      case 'I':
        return this.#word('Infinity', Number.POSITIVE_INFINITY);
      default:
        return this.#number();
    }
  }

  #object(depth: number): Record<string, unknown> {
    if (depth >= this.#nestingMax) throw tooDeep(this.#nestingMax);
    const object: Record<string, unknown> = {};
    this.#at++;
    if (this.#take('}')) return object;
    for (;;) {
      this.#skipWhitespace();
      if (this.#text[this.#at] !== '"') throw this.#unexpected('a key in double quotes');
      const key = this.#string();
      if (!this.#take(':')) throw this.#unexpected("':'");
      const value = this.#value(depth + 1);
      // Assignment would set the prototype.
      if (key === '__proto__') defineOwn(object, key, value);
      else object[key] = value;
      if (this.#take('}')) return object;
      if (!this.#take(',')) throw this.#unexpected("',' or '}'");
    }
  }

  #array(depth: number): unknown[] {
    if (depth >= this.#nestingMax) throw tooDeep(this.#nestingMax);
    const array: unknown[] = [];
    this.#at++;
    if (this.#take(']')) return array;
    for (;;) {
      array.push(this.#value(depth + 1));
      if (this.#take(']')) return array;
      if (!this.#take(',')) throw this.#unexpected("',' or ']'");
    }
  }

  #string(): string {
    const start = this.#at;
    let end = this.#text.indexOf('"', start + 1);
    while (end !== -1 && this.#isEscaped(end, start)) end = this.#text.indexOf('"', end + 1);
    if (end === -1) throw malformed(`a text that begins at character ${start} does not end`, { at: start });
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(start, end + 1)) as string;
    } catch (thrown) {
      throw malformed(`the text at character ${start}: ${toError(thrown).message}`, { at: start });
    }
  }

  #isEscaped(quote: number, start: number): boolean {
    let at = quote - 1;
    while (at > start && this.#text[at] === '\\') at--;
    return (quote - at) % 2 === 0;
  }

  #number(): number | bigint {
    if (this.#text.startsWith('-Infinity', this.#at)) return this.#word('-Infinity', Number.NEGATIVE_INFINITY);
    const start = this.#at;
    const integerEnd = this.#integerEnd(start);
    if (integerEnd === start) throw this.#unexpected('a value');
    const end = this.#exponentEnd(this.#fractionEnd(integerEnd));
    const token = this.#text.slice(start, end);
    this.#at = end;
    const number = Number(token);
    if (end !== integerEnd || Number.isSafeInteger(number)) return number;
    const digits = token.startsWith('-') ? token.length - 1 : token.length;
    if (digits > INTEGER_DIGITS_MAX) {
      throw ipcError('PEER_MALFORMED_PAYLOAD', `an integer of ${digits} digits; ${INTEGER_DIGITS_MAX} are the most`, {
        details: { digits, max: INTEGER_DIGITS_MAX },
      });
    }
    return BigInt(token);
  }

  // Digits are stepped over by hand: a regular expression would overflow its stack on millions of them.

  /** `start` itself where no integer stands there. */
  #integerEnd(start: number): number {
    const first = this.#text[start] === '-' ? start + 1 : start;
    if (this.#text[first] === '0') return first + 1;
    const end = this.#digitsEnd(first);
    return end === first ? start : end;
  }

  #fractionEnd(start: number): number {
    if (this.#text[start] !== '.') return start;
    const end = this.#digitsEnd(start + 1);
    return end === start + 1 ? start : end;
  }

  #exponentEnd(start: number): number {
    if (this.#text[start] !== 'e' && this.#text[start] !== 'E') return start;
    const sign = this.#text[start + 1];
    const first = sign === '+' || sign === '-' ? start + 2 : start + 1;
    const end = this.#digitsEnd(first);
    return end === first ? start : end;
  }

  #digitsEnd(start: number): number {
    let at = start;
    for (let code = this.#text.charCodeAt(at); code >= 0x30 && code <= 0x39; code = this.#text.charCodeAt(at)) at++;
    return at;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected('a value');
    this.#at += word.length;
    return value;
  }

  #take(letter: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }

  #skipWhitespace(): void {
    for (;;) {
      const letter = this.#text[this.#at];
      if (letter !== ' ' && letter !== '\n' && letter !== '\r' && letter !== '\t') return;
      this.#at++;
    }
  }

  #unexpected(expected: string): IPCError {
    const found = this.#text.slice(this.#at, this.#at + EXCERPT_LENGTH);
    const what = found === '' ? 'the text ends' : `found ${JSON.stringify(found)}`;
    return malformed(`at character ${this.#at} expected ${expected}, ${what}`, { at: this.#at, expected, found });
  }
}

/** Sets an own property, whatever its name. */
export function defineOwn(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

export function tooDeep(max: number): IPCError {
  return ipcError('PEER_MALFORMED_PAYLOAD', `arrays and objects nested deeper than ${max}`, { details: { max } });
}

function malformed(what: string, details: Readonly<Record<string, unknown>>): IPCError {
  return ipcError('PEER_MALFORMED_FRAME', `no JSON: ${what}`, { details });
}
