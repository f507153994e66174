// Base64 against Node's own, and the texts that must be refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64, encodeBase64 } from './base64.ts';

test('any bytes encode as Node encodes them, and decode to themselves', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64(bytes);
      assert.equal(text, Buffer.from(bytes).toString('base64'));
      assert.deepEqual(decodeBase64(text), bytes);
    }),
  );
});

test('a text decodes only if encoding gives exactly that text again', () => {
  const letters = fc.constantFrom(...'ABab+/=9_- \n\u00e9');
  fc.assert(
    fc.property(fc.string({ unit: letters, maxLength: 12 }), (text) => {
      const bytes = decodeBase64(text);
      const canonical = Buffer.from(text, 'base64').toString('base64') === text;
      assert.equal(bytes !== undefined, canonical);
      if (bytes !== undefined) assert.equal(encodeBase64(bytes), text);
    }),
    { numRuns: 2000 },
  );
});

test('missing padding, inner padding, foreign letters and stray bits are refused', () => {
  for (const text of ['QQ', 'QQ=', 'Q===', '====', 'QQ==QQ==', 'QR==', 'QUJ=', 'Q\u0141==', 'QQ\n=', 'QQ-_']) {
    assert.equal(decodeBase64(text), undefined, JSON.stringify(text));
  }
});
