// The rules for names and patterns, each with what is refused, why and where.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IPCError } from '../base/errors.ts';
import {
  checkApplicationId,
  checkChannelName,
  checkPattern,
  isPattern,
  NAME_BYTES_MAX,
  nameProblem,
  patternMatches,
} from './names.ts';

const utf8 = new TextEncoder();

/** Any UTF-16 units, halves of pairs too, and texts around the longest. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7ff, max: 0xe001 })), { maxLength: 5 })
    .map((units) => String.fromCharCode(...units)),
);

/** The error that was raised, or a failure. */
function raised(action: () => void): IPCError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof IPCError);
    return error;
  }
  return assert.fail('nothing was raised');
}

test('any text that people call a channel by is a name', () => {
  for (const name of ['general', 'chat_app', 'two words', 'Grüße', '会議', '🙂', 'a..b', '.', 'a*b', '>a', '$system']) {
    checkChannelName(name);
    checkApplicationId(name);
    assert.equal(isPattern(name), false, name);
  }
});

test('a name is refused when it is empty, no text, or holds a control character, with the place', () => {
  const cases: [value: unknown, reason: RegExp, at: number][] = [
    ['', /empty/, 0],
    [7, /no text/, 0],
    [null, /no text/, 0],
    ['ab\ncd', /U\+000A/, 2],
    ['\u0000', /U\+0000/, 0],
    ['x\u007f', /U\+007F/, 1],
    ['\u{1F600}\u009f', /U\+009F/, 2],
    ['a\ud800', /surrogate/, 1],
    ['\udc00a', /surrogate/, 0],
    ['\ud800\ud800', /surrogate/, 0],
  ];
  for (const [value, reason, at] of cases) {
    const error = raised(() => checkChannelName(value));
    assert.equal(error.code, 'USAGE_INVALID_NAME');
    assert.match(error.message, reason);
    assert.equal(error.details['at'], at, String(value));
    assert.equal(error.details['kind'], 'channel name');
  }
});

test('a name may have 255 bytes of UTF-8 and not one more', () => {
  for (const letter of ['a', 'ü', '会', '🙂']) {
    const size = utf8.encode(letter).length;
    const fits = letter.repeat(Math.floor(NAME_BYTES_MAX / size));
    assert.equal(nameProblem(fits), undefined, letter);
    const tooLong = nameProblem(fits + letter);
    assert.match(tooLong?.reason ?? '', /255 bytes/);
    assert.equal(tooLong?.at, fits.length + letter.length - 1);
  }
});

test('a long name does not fill the error that refuses it', () => {
  const error = raised(() => checkApplicationId('x'.repeat(1_000_000)));
  assert.ok(error.message.length < 200);
  assert.match(error.message, /^application id /);
});

test('a text is a name exactly when UTF-8 can carry it, it has 1 to 255 bytes and no control characters', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const bytes = utf8.encode(text);
      const survives = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === text;
      const fine = survives && bytes.length >= 1 && bytes.length <= 255 && !/\p{Cc}/u.test(text);
      assert.equal(nameProblem(text) === undefined, fine);
    }),
  );
});

test('a wildcard is special only as a whole token', () => {
  for (const pattern of ['*', '>', 'orders.*', 'orders.>', '*.a', 'a.*.b', '*.*.>', 'a..*']) {
    assert.equal(isPattern(pattern), true, pattern);
    checkPattern(pattern);
  }
  for (const name of ['orders', 'a*', '*a.b', 'a.>b', '**', '>>', 'a.b*c']) assert.equal(isPattern(name), false, name);
});

test('a pattern is refused where > is not last, and where it would reach into the system', () => {
  const early = raised(() => checkPattern('ab.>.c'));
  assert.equal(early.code, 'USAGE_INVALID_NAME');
  assert.equal(early.details['at'], 3);
  assert.equal(early.details['kind'], 'pattern');
  assert.equal(raised(() => checkPattern('$presence.*')).details['at'], 0);
  assert.equal(raised(() => checkPattern('a\t.*')).details['at'], 1);
  checkPattern('$presence.general');
});

test('* stands for one token, > for one or more, and nothing matches the system', () => {
  const matching: [pattern: string, channel: string][] = [
    ['orders.*', 'orders.eu'],
    ['orders.>', 'orders.eu'],
    ['orders.>', 'orders.eu.north'],
    ['*.eu', 'orders.eu'],
    ['*.*', 'a.b'],
    ['>', 'a'],
    ['>', 'a.b.c'],
    ['a.*.>', 'a.b.c'],
    ['a.*', 'a.'],
    ['a.*', 'a.$b'],
    ['*', '*'],
  ];
  for (const [pattern, channel] of matching)
    assert.equal(patternMatches(pattern, channel), true, `${pattern} ${channel}`);
  const different: [pattern: string, channel: string][] = [
    ['orders.*', 'orders'],
    ['orders.*', 'orders.eu.north'],
    ['orders.*', 'order.eu'],
    ['orders.>', 'orders'],
    ['*', 'a.b'],
    ['a.*.>', 'a.b'],
    ['*', '$system'],
    ['>', '$presence.general'],
  ];
  for (const [pattern, channel] of different)
    assert.equal(patternMatches(pattern, channel), false, `${pattern} ${channel}`);
});
