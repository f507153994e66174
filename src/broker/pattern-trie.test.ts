// The index of patterns, against two other ways of matching, and what it keeps when they are gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { patternMatches, patternProblem } from '../protocol/names.ts';
import { PatternTrie } from './pattern-trie.ts';

/** A second opinion that shares nothing with the code under test. */
function naiveMatch(pattern: string, channel: string): boolean {
  if (channel.startsWith('$')) return false;
  const source = pattern
    .split('.')
    .map((token) => {
      if (token === '*') return '[^.]*';
      return token === '>' ? '[^.]*(?:\\.[^.]*)*' : token.replace(/[^a-z0-9]/gi, '\\$&');
    })
    .join('\\.');
  return new RegExp(`^${source}$`).test(channel);
}

const token = fc.constantFrom('a', 'b', 'c', '', 'a*', '$x');
const channel = fc.array(token, { minLength: 1, maxLength: 12 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 12 })
  .chain((tokens) => fc.constantFrom(tokens.join('.'), [...tokens, '>'].join('.')))
  .filter((text) => patternProblem(text) === undefined);

test('trie, single matcher and a regular expression agree on every pattern and channel', () => {
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 30 }), fc.array(channel, { maxLength: 10 }), (patterns, channels) => {
      const trie = new PatternTrie<{ pattern: string }>();
      const entries = patterns.map((text) => ({ pattern: text }));
      for (const entry of entries) trie.add(entry.pattern, entry);
      for (const name of channels) {
        const expected = entries.filter((entry) => naiveMatch(entry.pattern, name));
        const found = trie.match(name);
        assert.equal(found.length, expected.length);
        assert.deepEqual(new Set(found), new Set(expected));
        for (const entry of entries) assert.equal(patternMatches(entry.pattern, name), expected.includes(entry));
      }
    }),
    { numRuns: 500 },
  );
});

test('after removals the trie matches what is left, and keeps no node for what is gone', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 30 }), channel, (marked, name) => {
      const trie = new PatternTrie<{ pattern: string }>();
      const entries = marked.map(([text, stays]) => ({ pattern: text, stays }));
      for (const entry of entries) assert.equal(trie.add(entry.pattern, entry), true);
      for (const entry of entries) if (!entry.stays) assert.equal(trie.remove(entry.pattern, entry), true);
      const left = entries.filter((entry) => entry.stays);
      assert.equal(trie.size, left.length);
      assert.deepEqual(new Set(trie.match(name)), new Set(left.filter((entry) => naiveMatch(entry.pattern, name))));
      for (const entry of left) trie.remove(entry.pattern, entry);
      assert.equal(trie.nodeCount, 0);
      assert.equal(trie.size, 0);
    }),
  );
});

test('an entry is added once and removed once, and only such a change is a new version', () => {
  const trie = new PatternTrie<object>();
  const entry = {};
  assert.equal(trie.add('a.*', entry), true);
  const version = trie.version;
  assert.equal(trie.add('a.*', entry), false);
  assert.equal(trie.remove('a.>', entry), false);
  assert.equal(trie.remove('b.*', entry), false);
  assert.equal(trie.remove('a.*', {}), false);
  assert.equal(trie.version, version);
  assert.equal(trie.remove('a.*', entry), true);
  assert.notEqual(trie.version, version);
  assert.deepEqual(trie.match('a.b'), []);
});

test('one pattern of the longest name costs a handful of nodes', () => {
  const trie = new PatternTrie<object>();
  const longest = `${'x.'.repeat(127)}*`;
  assert.equal(longest.length, 255);
  const entry = {};
  trie.add(longest, entry);
  assert.ok(trie.nodeCount <= 8);
  assert.deepEqual(trie.match(`${'x.'.repeat(127)}y`), [entry]);
  assert.deepEqual(trie.match(`${'x.'.repeat(126)}y`), []);
});

test('a channel matched by 200,000 entries is matched without exhausting the stack', () => {
  const trie = new PatternTrie<object>();
  for (let count = 0; count < 200_000; count += 1) trie.add('a.>', { count });
  assert.equal(trie.match('a.b').length, 200_000);
});
