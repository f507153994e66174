// @ts-check
// What is on the machine: versions of the packages, and servers that are programs of their own, which are started
// for one measurement and ended after it.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * @param {string} name of a package that bench/package.json lists
 * @returns {Promise<string>}
 */
export async function packageVersion(name) {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(await readFile(manifest, 'utf8')).version;
}

/** For servers that cannot choose a port and tell it. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/**
 * @param {string} program
 * @returns {Promise<string>} throws when the program is absent
 */
export async function programVersion(program) {
  try {
    const { stdout } = await run(program, ['--version']);
    return /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? stdout.trim();
  } catch {
    throw new Error(`${program} is not installed`);
  }
}

/**
 * @param {string} program
 * @param {string[]} parameters
 */
export async function startProgram(program, parameters) {
  const child = spawn(program, parameters, { stdio: 'ignore' });
  await once(child, 'spawn');
  process.on('exit', () => child.kill('SIGKILL'));
  return child;
}

/**
 * @template T
 * @param {() => Promise<T>} attempt until it succeeds
 * @returns {Promise<T>}
 */
export async function eventually(attempt) {
  const untilMs = Date.now() + 10_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > untilMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
