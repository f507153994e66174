// House rules that neither compiler nor linter knows, as one table. `node scripts/check-style.mjs [folder]`
// prints each breach as file:line: rule, and fails if there is one.

import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { PURE } from './layers.mjs';
import { filesBelow, ROOT } from './project.mjs';

const CODE = /\.(?:ts|tsx|mts|mjs|js|cc|h|py|sh)$/;
const SCRIPT = /\.(?:ts|tsx|mts|mjs|js)$/;
const PURE_CODE = new RegExp(`^src/(?:${PURE.join('|')})/(?!.*\\.test\\.ts$)`);

/**
 * Files that may be longer, each with its reason.
 * @type {Readonly<Record<string, { maxLines: number, why: string }>>}
 */
const LONGER = {};
const MAX_LINES = 400;

/**
 * Rules about a line of text. `files` says where they hold.
 * @type {readonly { rule: string, files: RegExp, pattern: RegExp, except?: RegExp }[]}
 */
const LINE_RULES = [
  {
    rule: 'the type `any` switches the compiler off; use `unknown` and narrow it',
    files: SCRIPT,
    pattern: /(?::|<|\bas|\||=>)\s*any\b(?!['-])\s*(?:[,;)>=[\]{}|]|$)|,\s*any\s*>|\{any\b/,
  },
  {
    rule: 'the compiler and the linter are not to be silenced',
    files: SCRIPT,
    pattern: /@ts-(?:ignore|nocheck|expect-error)|(?:oxlint|eslint)-disable|biome-ignore/,
    except: /^test\/types\//,
  },
  {
    rule: 'a TODO names what it waits for: TODO(what): …; the other marks are not used',
    files: CODE,
    pattern: /\bTODO\b(?!\([^)]+\): \S)|\b(?:FIXME|XXX|HACK)\b/,
  },
  {
    rule: 'a path of one machine; use os.tmpdir() with mkdtemp, or the environment',
    files: /./,
    pattern: /(?<![\w.])\/(?:work|home|root|Users)\/\w|C:\\+Users/,
  },
  {
    rule: 'a literal path below /tmp; use os.tmpdir() with mkdtemp',
    files: SCRIPT,
    pattern: /['"`(]\/tmp\//,
  },
  {
    rule: '`only` leaves all other tests out',
    files: /\.test\.ts$/,
    pattern: /\b(?:test|it|describe|suite)\.only\b|\bonly:\s*true/,
  },
  {
    rule: 'a pure layer has no clock and no randomness: take `now` and the like as arguments',
    files: PURE_CODE,
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(/,
  },
  {
    rule: 'the address of a package registry',
    files: /./,
    pattern: /\b(?:registry\.npmjs|npmjs|pypi|yarnpkg)\.(?:org|com)\b/,
  },
];

/** A unit test says by its name which file it is about. */
const UNIT_TEST = /^src\/.*\.test\.ts$/;
const VAGUE_NAME = /^(?:(?:.*[-.])?(?:utils?|helpers?|common|misc|stuff)|managers?)\.[a-z.]+$/;

/** Files that are no text, or not written by hand. */
const NOT_READ = /\.(?:png|jpg|ico|woff2|gz|tgz|node|wasm|bin)$|^package-lock\.json$/;
/** These files hold the patterns themselves, or examples of what is forbidden. */
const ABOUT_RULES = /^scripts\/check-style\.mjs$|^test\/tooling\//;

/** @typedef {{ file: string, line: number, rule: string }} Breach */

/** The breaches of one file. @returns {Breach[]} */
export function breachesOf(/** @type {string} */ file, /** @type {string} */ text) {
  /** @type {Breach[]} */
  const breaches = [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const maxLines = LONGER[file]?.maxLines ?? MAX_LINES;
  if (CODE.test(file) && lines.length > maxLines) {
    breaches.push({ file, line: lines.length, rule: `longer than ${maxLines} lines; split it by role` });
  }
  if (CODE.test(file) && VAGUE_NAME.test(basename(file))) {
    breaches.push({ file, line: 1, rule: 'a file name that says nothing; name its role' });
  }
  if (CODE.test(file) && !UNIT_TEST.test(file) && !/^(?:\/\/|\/\*|#|""")/.test(lines[0] ?? '')) {
    breaches.push({ file, line: 1, rule: 'the first lines say why the file exists' });
  }
  const rules = LINE_RULES.filter((rule) => rule.files.test(file) && rule.except?.test(file) !== true);
  for (const [index, line] of lines.entries()) {
    for (const { rule, pattern } of rules) {
      if (pattern.test(line)) breaches.push({ file, line: index + 1, rule });
    }
  }
  return breaches;
}

/** The breaches of every file below a folder. */
export function breachesBelow(/** @type {string} */ root) {
  return filesBelow('.', root)
    .filter((file) => !NOT_READ.test(file) && !ABOUT_RULES.test(file))
    .flatMap((file) => breachesOf(file, readFileSync(join(root, file), 'utf8')));
}

if (process.argv[1] === import.meta.filename) {
  const breaches = breachesBelow(resolve(process.argv[2] ?? ROOT));
  for (const { file, line, rule } of breaches) console.log(`${file}:${line}: ${rule}`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
