// Documents against code: docs/errors.md against the table of error codes, docs/options.md against the options
// that the entries export, what they export against its comments, and every relative link against the files and headings that exist. `--write` brings
// the rows of both documents up to date.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { pathToFileURL } from 'node:url';
import { silentExports } from './api-comments.mjs';
import { errorTableFaults, rewriteErrorTable } from './error-table.mjs';
import { ENTRIES } from './layers.mjs';
import { optionFaults, readOptions, readProgram, rewriteOptions } from './option-tables.mjs';
import { filesBelow, ROOT } from './project.mjs';

/** The anchors that a page makes of its headings and of its own <a id>. */
function anchorsOf(/** @type {string} */ markdown) {
  /** @type {Set<string>} */
  const anchors = new Set();
  const text = markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
  for (const [, heading = ''] of text.matchAll(/^#{1,6} +(.+)$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
    let unique = slug;
    for (let count = 1; anchors.has(unique); count++) unique = `${slug}-${count}`;
    anchors.add(unique);
  }
  for (const [, id = ''] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
  return anchors;
}

/** Relative links of every document that lead nowhere. */
export function linkFaults(/** @type {string} */ root) {
  const faults = [];
  for (const file of filesBelow('.', root).filter((path) => path.endsWith('.md'))) {
    const text = readFileSync(join(root, file), 'utf8')
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .replaceAll(/`[^`\n]*`/g, '');
    for (const [, link = ''] of text.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)) {
      if (/^[a-z]+:/i.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : posix.join(dirname(file), decodeURIComponent(path));
      if (!existsSync(join(root, target))) faults.push(`${file}: ${link} leads nowhere`);
      else if (anchor !== undefined && target.endsWith('.md')) {
        const known = anchorsOf(readFileSync(join(root, target), 'utf8'));
        if (!known.has(anchor)) faults.push(`${file}: ${link}: no heading makes this anchor`);
      }
    }
  }
  return faults;
}

/** @returns {Promise<import('./error-table.mjs').ErrorCodes>} */
async function readErrorCodes() {
  const path = join(ROOT, 'dist', 'base', 'error-codes.js');
  const module = /** @type {{ ERROR_CODES: import('./error-table.mjs').ErrorCodes }} */ (
    await import(pathToFileURL(path).href)
  );
  return module.ERROR_CODES;
}

const OPTIONS_INTRO = `# Options

Each option has a unit in its name where it has one, a default and a range. A wrong value is refused at once with \`USAGE_INVALID_OPTION\`, whose \`details\` name the option, the value and what was expected; so is an option that does not exist.

The tables are made of the comments in the code and compared with them by \`npm run check\`.
`;

/** What differs in one document; with `write`, after it was brought up to date. @returns {string[]} */
function documentFaults(
  /** @type {string} */ name,
  /** @type {(text: string) => string[]} */ faults,
  /** @type {(text: string) => string} */ rewrite,
  /** @type {string} */ initial,
) {
  const path = join(ROOT, name);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : initial;
  if (process.argv.includes('--write')) writeFileSync(path, rewrite(text));
  const found = faults(existsSync(path) ? readFileSync(path, 'utf8') : '');
  return found.map((fault) => `${name}: ${fault} (to mend rows: npm run build && node scripts/check-docs.mjs --write)`);
}

async function main() {
  const codes = await readErrorCodes();
  const entries = Object.values(ENTRIES)
    .map((entry) => join(ROOT, entry))
    .filter((entry) => existsSync(entry));
  const program = readProgram(entries);
  const { tables: options, hidden } = readOptions(entries, program);
  const faults = [
    ...documentFaults(
      'docs/errors.md',
      (text) => errorTableFaults(text, codes),
      (text) => rewriteErrorTable(text, codes),
      '',
    ),
    ...documentFaults(
      'docs/options.md',
      (text) => optionFaults(text, options),
      (text) => rewriteOptions(text, options),
      OPTIONS_INTRO,
    ),
    ...hidden.map((name) => `${name}: exported options refer to it, and no entry exports it`),
    ...silentExports(entries, program).map((name) => `${name}: exported without a comment`),
    ...linkFaults(ROOT),
  ];
  for (const fault of faults) console.log(fault);
  return faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = await main();
