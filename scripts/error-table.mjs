// docs/errors.md and the table of error codes: what differs, and the document with its rows brought up to
// date. Meaning, retry and class come from the code; what to do about an error is written by hand.

/** @typedef {{ kind: string, retry: boolean, meaning: string }} ErrorCodeEntry */
/** @typedef {Readonly<Record<string, ErrorCodeEntry>>} ErrorCodes */

const ROW = /^\| `[A-Z_]+` \|/;
const CELLS_BEFORE_ADVICE = 4;

/** Code and cells of every row that begins with a code. */
function rowsOf(/** @type {string} */ markdown) {
  return markdown
    .split('\n')
    .filter((line) => ROW.test(line))
    .map((line) => line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/))
    .map((cells) => cells.map((cell) => cell.trim()))
    .map((cells) => ({ code: (cells[0] ?? '').slice(1, -1), cells, advice: cells[CELLS_BEFORE_ADVICE] ?? '' }));
}

/** The class that an error of a kind has. */
function className(/** @type {string} */ kind) {
  return kind === 'plain' ? 'IPCError' : `${kind.charAt(0).toUpperCase()}${kind.slice(1)}Error`;
}

/** @returns {string[]} the cells that the code decides */
function wantedCells(/** @type {string} */ code, /** @type {ErrorCodeEntry} */ entry) {
  const meaning = entry.meaning.replaceAll('|', '\\|');
  return [`\`${code}\``, meaning, entry.retry ? 'yes' : 'no', `\`${className(entry.kind)}\``];
}

/**
 * Where the document and the table differ. Each code has exactly one row, below the heading of its prefix,
 * with its meaning, whether a retry can help, its class, and what to do.
 * @param {string} markdown
 * @param {ErrorCodes} codes
 */
export function errorTableFaults(markdown, codes) {
  const rows = rowsOf(markdown);
  const faults = rows.filter((row) => !Object.hasOwn(codes, row.code)).map((row) => `${row.code}: no such code`);
  for (const [code, entry] of Object.entries(codes)) {
    const found = rows.filter((row) => row.code === code);
    const [row] = found;
    if (row === undefined || found.length > 1) faults.push(`${code}: ${found.length} rows instead of one`);
    else if (wantedCells(code, entry).some((cell, index) => row.cells[index] !== cell)) {
      faults.push(`${code}: the row differs from the code`);
    } else if (row.advice === '') faults.push(`${code}: the row does not say what to do`);
  }
  return faults;
}

/**
 * The document with the rows of every prefix's table made anew; the advice that was there stays.
 * @param {string} markdown
 * @param {ErrorCodes} codes
 */
export function rewriteErrorTable(markdown, codes) {
  const advice = new Map(rowsOf(markdown).map((row) => [row.code, row.advice]));
  let prefix = '';
  /** @type {string[]} */
  const lines = [];
  for (const line of markdown.split('\n').filter((text) => !ROW.test(text))) {
    lines.push(line);
    prefix = /^## `([A-Z]+_)`/.exec(line)?.[1] ?? prefix;
    if (!/^\|(?:-+\|)+$/.test(line) || prefix === '') continue;
    for (const [code, entry] of Object.entries(codes)) {
      if (code.startsWith(prefix))
        lines.push(`| ${[...wantedCells(code, entry), advice.get(code) ?? ''].join(' | ')} |`);
    }
    prefix = '';
  }
  return lines.join('\n');
}
