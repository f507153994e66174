// The values of docs/decisions/old-json-values.md, one by one and at random.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IPCError } from '../base/errors.ts';
import { NESTING_MAX, parsePythonJson, stringifyJson, stringifyPythonJson } from './python-json.ts';

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** Everything that the old wire carries without loss. */
const wireValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.constantFrom<unknown>(null, true, false, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
      fc.double(),
      fc.maxSafeInteger(),
      fc.bigInt().filter((integer) => !Number.isSafeInteger(Number(integer))),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
      fc.uint8Array(),
    ),
    fc.array(tie('value')),
    fc
      .dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', '__bytes__', 'toString')), tie('value'), {
        noNullPrototype: true,
      })
      // The one form that is taken for something else, as documented.
      .filter((value) => typeof value['__bytes__'] !== 'string'),
  ),
})).value;

const isMalformed = (error: unknown) =>
  error instanceof IPCError && (error.code === 'PEER_MALFORMED_FRAME' || error.code === 'PEER_MALFORMED_PAYLOAD');

test('every value of the old wire comes back as it was', () => {
  fc.assert(
    fc.property(wireValue, (value) => {
      assert.deepStrictEqual(parsePythonJson(stringifyPythonJson(value)), value);
    }),
    { numRuns: 2000 },
  );
});

/** Numbers beyond the safe integers and -0 are written as floats; see the test of them. */
const ordinaryJson = fc.jsonValue({ maxDepth: 6 }).filter((value) => {
  let ordinary = true;
  JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'number' && (Object.is(inner, -0) || Math.abs(inner) > Number.MAX_SAFE_INTEGER))
      ordinary = false;
    return inner;
  });
  return ordinary;
});

test('plain JSON is written and read exactly as the engine does', () => {
  fc.assert(
    fc.property(ordinaryJson, (value) => {
      const text = JSON.stringify(value);
      assert.equal(stringifyPythonJson(value), text);
      if (!text.includes('__bytes__')) assert.deepStrictEqual(parsePythonJson(text), JSON.parse(text));
    }),
  );
});

test('the parser for the rest reads plain JSON as the engine does, whitespace and escapes included', () => {
  fc.assert(
    fc.property(ordinaryJson, fc.constantFrom('', ' ', '\t', '\n  '), (value, indent) => {
      const text = JSON.stringify({ rest: value }, null, indent);
      const read = parsePythonJson(`[NaN, ${text}]`) as unknown[];
      assert.deepStrictEqual(read[1], JSON.parse(text));
    }),
  );
});

test('any text is read, or refused with a documented error', () => {
  const token = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '\\u12',
    '"a"',
    '"a":',
    'NaN',
    '-Infinity',
    'Inf',
    'nul',
    'true',
    '-',
    '0',
    '01',
    '1.',
    '.5',
    '1e',
    '1e5',
    '99999999999999999999',
    ' ',
    '\n',
    '\u0000',
    '\ud800',
    '\ufeff',
    '/',
    "'",
  ); // prettier-ignore
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(token, { maxLength: 12 }).map((parts) => parts.join('')),
        fc.string(),
      ),
      (text) => {
        try {
          parsePythonJson(text);
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
          return;
        }
        // What was accepted is JSON, but for Python's three words.
        assert.doesNotThrow(() => JSON.parse(text.replaceAll(/-?Infinity|NaN/g, '0')) as unknown);
      },
    ),
    { numRuns: 5000 },
  );
});

test('bare NaN and infinities are numbers, in any place, and words in a text are not', () => {
  assert.deepStrictEqual(parsePythonJson('{"a": [NaN, Infinity, -Infinity], "b": "NaN, Infinity"}'), {
    a: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    b: 'NaN, Infinity',
  });
  assert.equal(stringifyPythonJson([Number.NaN, { x: Number.NEGATIVE_INFINITY }]), '[NaN,{"x":-Infinity}]');
});

test('for readers of plain JSON, NaN and infinities are null and the rest is as for Python', () => {
  const value = [Number.NaN, { x: Number.NEGATIVE_INFINITY }, 2n ** 70n, Float32Array.of(Number.NaN), Uint8Array.of(1)];
  assert.equal(stringifyJson(value), '[null,{"x":null},1180591620717411303424,[null],{"__bytes__":"AQ=="}]');
  fc.assert(
    fc.property(wireValue, (given) => {
      assert.doesNotThrow(() => JSON.parse(stringifyJson(given)) as unknown);
    }),
  );
});

test('an integer is a bigint exactly when a number cannot hold it safely', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['-9007199254740991', -9007199254740991],
    ['-9007199254740992', -9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['1763709600123456', 1763709600123456],
    ['1763709600123456789', 1763709600123456789n],
    ['12345678901234567890.0', 12345678901234567000],
    ['12345678901234567890e2', 1.2345678901234567e21],
    ['0.12345678901234567890', 0.12345678901234568],
    ['"12345678901234567890"', '12345678901234567890'],
    ['":12345678901234567890"', ':12345678901234567890'],
  ];
  for (const [text, value] of cases) {
    for (const around of [
      (inner: string) => `[${inner}]`,
      (inner: string) => `[ ${inner} ]`,
      (inner: string) => `[1,\n${inner},2]`,
    ]) {
      const read = parsePythonJson(around(text)) as unknown[];
      assert.ok(read.includes(value), `${around(text)} gave ${String(read)}`);
    }
    assert.deepStrictEqual((parsePythonJson(`{"k":${text}}`) as { k: unknown }).k, value);
  }
});

test('a number beyond the safe integers, and -0, is written as the float that it is and comes back as that number', () => {
  for (const [number, text] of [
    [2 ** 53, '9007199254740992.0'],
    [-(2 ** 60), '-1152921504606847000.0'],
    [1e20, '100000000000000000000.0'],
    [-0, '-0.0'],
    [1e21, '1e+21'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
  ] as const) {
    assert.equal(stringifyPythonJson(number), text);
    assert.equal(stringifyPythonJson(Float64Array.of(number)), `[${text}]`);
    assert.deepStrictEqual(parsePythonJson(`[${text}]`), [number]);
  }
});

test('an integer of 4300 digits passes in both directions, one more is refused in both', () => {
  for (const sign of ['', '-']) {
    const most = `${sign}${'7'.repeat(4300)}`;
    assert.equal(stringifyPythonJson(parsePythonJson(`[${most}]`)), `[${most}]`);
    assert.throws(() => parsePythonJson(`[${most}7]`), { code: 'PEER_MALFORMED_PAYLOAD', message: /4301 digits/ });
    assert.throws(() => stringifyPythonJson(BigInt(`${most}7`)), {
      code: 'USAGE_UNSERIALIZABLE',
      message: /4301 digits/,
    });
  }
  assert.throws(() => parsePythonJson(`[${'7'.repeat(8_000_000)}]`), { code: 'PEER_MALFORMED_PAYLOAD' });
});

test('nesting is bounded the same way by both parsers and by the writer', () => {
  const most = nested(NESTING_MAX);
  const more = nested(NESTING_MAX + 1);
  assert.deepStrictEqual(parsePythonJson(stringifyPythonJson(most)), most);
  assert.throws(() => stringifyPythonJson(more), { code: 'USAGE_UNSERIALIZABLE', message: /deeper than 400/ });
  assert.throws(() => parsePythonJson(JSON.stringify(more)), {
    code: 'PEER_MALFORMED_PAYLOAD',
    message: /deeper than 400/,
  });
  const withNaN = (value: unknown) => JSON.stringify(value).replace('1', 'NaN');
  parsePythonJson(withNaN(most));
  assert.throws(() => parsePythonJson(withNaN(more)), { code: 'PEER_MALFORMED_PAYLOAD', message: /deeper than 400/ });
});

test('a million open brackets are an error and no crash', () => {
  for (const text of [
    '['.repeat(1_000_000),
    '{"a":'.repeat(1_000_000),
    `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`,
  ]) {
    assert.throws(() => parsePythonJson(text), { code: 'PEER_MALFORMED_PAYLOAD' });
  }
});

test('long texts full of quotes, backslashes and digits are read, and take no quadratic time', () => {
  const texts = [
    '"'.repeat(1_000_000),
    '\\'.repeat(1_000_000),
    '\\"'.repeat(500_000),
    ' 1234567890123456'.repeat(60_000),
  ];
  for (const text of texts)
    assert.deepStrictEqual(parsePythonJson(stringifyPythonJson([Number.NaN, text])), [Number.NaN, text]);
  assert.throws(() => parsePythonJson(`["${'\\'.repeat(1_000_001)}"]`), { code: 'PEER_MALFORMED_FRAME' });
  const many = '1'.repeat(8_000_000);
  assert.deepStrictEqual(parsePythonJson(`[${many}.5]`), [Number.POSITIVE_INFINITY]);
  assert.deepStrictEqual(parsePythonJson(`[0.${many}, NaN]`), [0.1111111111111111, Number.NaN]);
  assert.deepStrictEqual(parsePythonJson(`[${' '.repeat(8_000_000)}NaN]`), [Number.NaN]);
});

test('bytes come back as bytes at any depth, from Buffer, ArrayBuffer and DataView too', () => {
  const bytes = Uint8Array.of(0, 1, 254, 255);
  const text = '{"__bytes__":"AAH+/w=="}';
  const around = new Uint8Array([9, ...bytes, 9]);
  const forms = [
    bytes,
    Buffer.from(bytes),
    around.subarray(1, 5),
    bytes.slice().buffer,
    new DataView(around.buffer, 1, 4),
  ];
  for (const form of forms) assert.equal(stringifyPythonJson(form), text);
  assert.deepStrictEqual(parsePythonJson(`{"a":[${text}, 1],"__proto__":${text}}`), withOwnProto(bytes));
});

function withOwnProto(bytes: Uint8Array): unknown {
  const value = { a: [bytes, 1] };
  Object.defineProperty(value, '__proto__', { value: bytes, enumerable: true, writable: true, configurable: true });
  return value;
}

test('an object that only resembles bytes stays an object', () => {
  for (const text of [
    '{"__bytes__":"AAH+/w=="  ,"more":1}',
    '{"__bytes__":1}',
    '{"__bytes__":"AAH"}',
    '{"__bytes__":"AB=="}',
    '{"__bytes__":{"x":null}}',
    '{"__bytes__":[{"__bytes__":0}]}',
  ]) {
    assert.deepStrictEqual(parsePythonJson(text), JSON.parse(text));
  }
});

test('typed arrays other than bytes become arrays of their numbers', () => {
  assert.equal(stringifyPythonJson(Float64Array.of(1.5, Number.NaN)), '[1.5,NaN]');
  assert.equal(stringifyPythonJson({ a: BigInt64Array.of(-(2n ** 63n)) }), '{"a":[-9223372036854775808]}');
  assert.equal(stringifyPythonJson(Uint8ClampedArray.of(1, 2)), '[1,2]');
  assert.equal(stringifyPythonJson(new Int16Array(0)), '[]');
});

test('what JSON.stringify does with the rest holds beside special values too', () => {
  const rest = {
    when: new Date(0),
    gone: undefined,
    fn: () => 1,
    list: [undefined, () => 1, Symbol('s')],
    boxed: [Object('x'), Object(true), Object(5)],
    map: new Map([[1, 2]]),
    key: { toJSON: (key: string) => `was ${key}` },
    [Symbol('hidden')]: 1,
  };
  const plain = JSON.stringify(rest);
  assert.equal(stringifyPythonJson(rest), plain);
  assert.equal(stringifyPythonJson({ ...rest, z: 1n }), `${plain.slice(0, -1)},"z":1}`);
  assert.equal(stringifyPythonJson({ toJSON: () => Number.NaN }), 'NaN');
  assert.equal(stringifyPythonJson([Object(Number.NaN), Object(2n ** 60n)]), '[NaN,1152921504606846976]');
});

test('undefined alone is null, and a value without a JSON form is an error that says so', () => {
  assert.equal(stringifyPythonJson(undefined), 'null');
  const cycle: unknown[] = [];
  cycle.push(cycle, cycle);
  const object: Record<string, unknown> = {};
  object['self'] = { object };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [cycle, /contains itself/],
    [object, /contains itself/],
    [() => 1, /a function has no JSON form/],
    [Symbol('s'), /a symbol has no JSON form/],
    [
      {
        toJSON: () => {
          throw new Error('no form');
        },
      },
      /no form/,
    ],
    [
      {
        get bad() {
          throw new Error('bad getter');
        },
      },
      /bad getter/,
    ],
  ]; // prettier-ignore
  for (const [value, message] of cases) {
    assert.throws(() => stringifyPythonJson(value), { code: 'USAGE_UNSERIALIZABLE', message });
  }
});

test('an error names the character, what was expected and what stands there', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /at character 0 expected a value, the text ends/],
    ['{"a":1', /at character 6 expected ',' or '}', the text ends/],
    ['[1 2]', /at character 3 expected ',' or ']', found "2]"/],
    ['{"a" 1}', /at character 5 expected ':', found "1}"/],
    ['{a:1}', /at character 1 expected a key in double quotes, found "a:1}"/],
    ['[1,]', /at character 3 expected a value, found "]"/],
    ['{"a":1,}', /at character 7 expected a key in double quotes, found "}"/],
    ['[nan]', /at character 1 expected a value, found "nan]"/],
    ['["abc', /a text that begins at character 1 does not end/],
    ['["\u0001"]', /the text at character 1: /],
    ['{} {}', /at character 3 expected the end of the text, found "{}"/],
    [`[${'x'.repeat(1000)}]`, /^.{0,100}$/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parsePythonJson(text), { code: 'PEER_MALFORMED_FRAME', message });
  }
});

test('reading a key __proto__ changes no prototype, whichever parser reads it', () => {
  for (const text of ['{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true},"n":NaN}']) {
    const value = parsePythonJson(text) as Record<string, unknown>;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.ok(Object.hasOwn(value, '__proto__'));
    assert.equal(value['admin'], undefined);
    assert.equal(stringifyPythonJson(value), text.replaceAll(' ', ''));
  }
  assert.equal(({} as Record<string, unknown>)['admin'], undefined);
});
