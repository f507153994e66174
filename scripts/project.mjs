// What the scripts of this folder share: where the project is, its files, and running a program.

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[/\\]$/, '');

const NEVER_WALKED = new Set(['node_modules', 'dist', 'build', 'prebuilds', 'coverage', '.git', '.venv', '.cache']);

/** Every file below a folder as a path relative to `root`, with `/` on every system, sorted. */
export function filesBelow(/** @type {string} */ folder, root = ROOT) {
  /** @type {string[]} */
  const found = [];
  const start = join(root, folder);
  if (!existsSync(start)) return found;
  /** @type {(path: string) => void} */
  const walk = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && !NEVER_WALKED.has(entry.name)) walk(join(path, entry.name));
      else if (entry.isFile() && entry.name !== '.git')
        found.push(relative(root, join(path, entry.name)).split(sep).join('/'));
    }
  };
  walk(start);
  return found.sort();
}

/** The newest modification time below the given files and folders, in milliseconds; 0 where nothing is. */
export function newestChange(/** @type {readonly string[]} */ paths, root = ROOT) {
  let newest = 0;
  for (const path of paths) {
    const full = join(root, path);
    if (!existsSync(full)) continue;
    const files = statSync(full).isDirectory() ? filesBelow(path, root) : [path];
    for (const file of files) newest = Math.max(newest, statSync(join(root, file)).mtimeMs);
  }
  return newest;
}

/** The path of a development tool's program. */
export function tool(/** @type {string} */ name) {
  return join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
}

/**
 * Runs a program with the terminal of this one and gives its exit code; a death by signal counts as 1.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<number>}
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: options.env ?? process.env,
      stdio: 'inherit',
      shell: command.endsWith('.cmd'),
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/**
 * Runs a program and gives its exit code with what it printed, both streams in the order they came.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: command.endsWith('.cmd'),
    });
    /** @type {Buffer[]} */
    const parts = [];
    const keep = (/** @type {Buffer} */ part) => parts.push(part);
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(parts).toString() }));
  });
}
