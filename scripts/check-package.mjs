// Whether the package that would be published is whole: `exports` names exactly the public entries that
// exist, and publint and are-the-types-wrong find nothing in the packed file.
// `node scripts/check-package.mjs --write` brings package.json up to date.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ENTRIES } from './layers.mjs';
import { capture, filesBelow, ROOT, tool } from './project.mjs';

const FORBIDDEN_IN_PACKAGE = /\.test\.|^(?:src|test|scripts|build|bench|\.ci|node_modules)\/|\.tsbuildinfo$/;
const MAX_PACKED_BYTES = 1_000_000;

/** @typedef {Record<string, string | { types: string, default: string }>} Exports */

/** What `exports` has to be: one line for each entry whose source is there. @returns {Exports} */
function wantedExports() {
  /** @type {Exports} */
  const wanted = {};
  for (const [name, source] of Object.entries(ENTRIES)) {
    if (!existsSync(join(ROOT, source))) continue;
    const stem = source.replace(/^src\//, './dist/').replace(/\.ts$/, '');
    wanted[name] = { types: `${stem}.d.ts`, default: `${stem}.js` };
  }
  wanted['./package.json'] = './package.json';
  return wanted;
}

/** The fields of package.json that follow from the sources. */
function wantedFields() {
  const hasCommand = existsSync(join(ROOT, 'src/cli/main.ts'));
  return { exports: wantedExports(), ...(hasCommand && { bin: { isthmus: 'dist/cli/main.js' } }) };
}

/** @typedef {{ exports?: Exports, bin?: Record<string, string>, scripts: Record<string, string> }} Manifest */

function readPackage() {
  return /** @type {Manifest} */ (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));
}

/** What is wrong with the words of package.json, compared with the sources. */
function manifestFaults() {
  const manifest = readPackage();
  const faults = [];
  if (!isDeepStrictEqual({ ...manifest, ...wantedFields() }, manifest)) {
    faults.push('`exports` or `bin` differs from the sources; run: node scripts/check-package.mjs --write');
  }
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
    if (hook in manifest.scripts) faults.push(`script ${hook}: nothing of ours runs while somebody installs`);
  }
  const entries = new Set(Object.values(ENTRIES));
  for (const file of filesBelow('src').filter((path) => path.endsWith('/index.ts') && !entries.has(path))) {
    faults.push(`${file}: a barrel that is no public entry`);
  }
  return faults;
}

/** Packs the package into a folder. @returns {Promise<{ path: string, faults: string[] }>} */
async function pack(/** @type {string} */ folder) {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { code, output } = await capture(npm, ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  if (code !== 0) return { path: '', faults: [`npm pack failed:\n${output}`] };
  const json = output.slice(output.indexOf('[\n'), output.lastIndexOf(']') + 1);
  const [packed] = /** @type {{ filename: string, size: number, files: { path: string }[] }[]} */ (JSON.parse(json));
  if (packed === undefined) return { path: '', faults: ['npm pack made nothing'] };
  const faults = packed.files
    .filter((file) => FORBIDDEN_IN_PACKAGE.test(file.path))
    .map((file) => `${file.path} does not belong into the package`);
  if (packed.size > MAX_PACKED_BYTES) faults.push(`${packed.size} bytes packed; ${MAX_PACKED_BYTES} at most`);
  return { path: join(folder, packed.filename), faults };
}

/** What the two package linters say about the packed file. */
async function linterFaults(/** @type {string} */ path) {
  const reports = await Promise.all([
    capture(tool('publint'), ['run', path, '--strict']),
    capture(tool('attw'), [path, '--profile', 'esm-only', '--no-color', '--no-emoji']),
  ]);
  return reports.filter((report) => report.code !== 0).map((report) => report.output.trimEnd());
}

async function main() {
  if (process.argv.includes('--write')) {
    const text = JSON.stringify({ ...readPackage(), ...wantedFields() }, undefined, 2);
    writeFileSync(join(ROOT, 'package.json'), `${text}\n`);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-pack-'));
  try {
    const faults = manifestFaults();
    const packed = await pack(folder);
    faults.push(...packed.faults);
    if (packed.path !== '') faults.push(...(await linterFaults(packed.path)));
    for (const fault of faults) console.log(fault);
    return faults.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
