// The rules for names: what an application, a channel and a pattern may be called, and which channels a
// pattern matches. Names come from peers, so every rule has a bound and says where it was broken.
//
// A channel name is any text; dots cut it into tokens. In a pattern, the token `*` stands for any one token
// and a last token `>` for one or more. Both are special only in a pattern and only as whole tokens: `a*b`
// is an ordinary token. A channel whose name starts with `$` belongs to the system; no wildcard matches it.

import { ipcError, type IPCError } from '../base/errors.ts';

export const NAME_BYTES_MAX = 255;

export const ANY_TOKEN = '*';
export const ANY_REST = '>';

const TOKEN_SEPARATOR = '.';
const SYSTEM_PREFIX = '$';

export type NameKind = 'application id' | 'channel name' | 'pattern';

export interface NameProblem {
  readonly reason: string;
  /** Where in the text, in UTF-16 units. */
  readonly at: number;
}

/** What is wrong with an application id or a channel name, or `undefined` where nothing is. */
export function nameProblem(text: unknown): NameProblem | undefined {
  if (typeof text !== 'string') return { reason: 'it is no text', at: 0 };
  if (text === '') return { reason: 'it is empty', at: 0 };
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) {
      return { reason: `it holds the control character U+${unit.toString(16).toUpperCase().padStart(4, '0')}`, at };
    }
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3;
    else {
      // Half of a pair cannot be encoded: two different names would become one on the wire.
      const next = unit < 0xdc00 ? text.charCodeAt(at + 1) : Number.NaN;
      if (!(next >= 0xdc00 && next <= 0xdfff)) return { reason: 'it holds half of a surrogate pair', at };
      bytes += 4;
      at += 1;
    }
    if (bytes > NAME_BYTES_MAX) return { reason: `it is longer than ${NAME_BYTES_MAX} bytes of UTF-8`, at };
  }
  return undefined;
}

/** What is wrong with a pattern, or `undefined` where nothing is. */
export function patternProblem(text: unknown): NameProblem | undefined {
  const problem = nameProblem(text);
  if (problem !== undefined || typeof text !== 'string') return problem;
  if (isSystemName(text) && isPattern(text)) {
    return { reason: "wildcards never match channels that start with '$'", at: 0 };
  }
  let at = 0;
  const tokens = tokensOf(text);
  for (const [index, token] of tokens.entries()) {
    if (token === ANY_REST && index < tokens.length - 1) return { reason: "'>' is not the last token", at };
    at += token.length + 1;
  }
  return undefined;
}

/** Throws `USAGE_INVALID_NAME` unless the text can be an application id. */
export function checkApplicationId(text: unknown): asserts text is string {
  const problem = nameProblem(text);
  if (problem !== undefined) throw invalidName('application id', text, problem);
}

/** Throws `USAGE_INVALID_NAME` unless the text can be a channel name. */
export function checkChannelName(text: unknown): asserts text is string {
  const problem = nameProblem(text);
  if (problem !== undefined) throw invalidName('channel name', text, problem);
}

/** Throws `USAGE_INVALID_NAME` unless the text can be subscribed to as a pattern. */
export function checkPattern(text: unknown): asserts text is string {
  const problem = patternProblem(text);
  if (problem !== undefined) throw invalidName('pattern', text, problem);
}

/** Does the text hold a wildcard, so that subscribing to it means many channels? */
export function isPattern(text: string): boolean {
  if (!text.includes(ANY_TOKEN) && !text.includes(ANY_REST)) return false;
  return tokensOf(text).some((token) => token === ANY_TOKEN || token === ANY_REST);
}

/** Does the channel belong to the system, out of reach of wildcards? */
export function isSystemName(name: string): boolean {
  return name.startsWith(SYSTEM_PREFIX);
}

export function tokensOf(name: string): readonly string[] {
  return name.split(TOKEN_SEPARATOR);
}

/** Does the pattern match the channel? For one question; many patterns at once are asked through a trie. */
export function patternMatches(pattern: string, channel: string): boolean {
  if (isSystemName(channel)) return false;
  const wanted = tokensOf(pattern);
  const given = tokensOf(channel);
  const open = wanted.at(-1) === ANY_REST;
  const fixed = open ? wanted.length - 1 : wanted.length;
  if (open ? given.length <= fixed : given.length !== fixed) return false;
  for (let index = 0; index < fixed; index += 1) {
    if (wanted[index] !== ANY_TOKEN && wanted[index] !== given[index]) return false;
  }
  return true;
}

function invalidName(kind: NameKind, value: unknown, problem: NameProblem): IPCError {
  const { reason, at } = problem;
  return ipcError('USAGE_INVALID_NAME', `${kind} ${quote(value)}: ${reason} (at ${at})`, {
    details: { kind, value: typeof value === 'string' ? cut(value) : typeof value, reason, at },
  });
}

function quote(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(cut(value)) : `of type ${typeof value}`;
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
