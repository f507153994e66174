// `npm run check [-- step…]`: everything that can be said about the project without running it. One line a
// step, details only where a step fails. Habits that a reviewer would repeat live here, not in his memory.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { capture, ROOT, tool } from './project.mjs';

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} command
 * @property {readonly string[]} args
 * @property {boolean} [needsDist] whether it reads what was compiled
 * @property {boolean} [quiet] whether its output is left out even where it fails
 */

const script = (/** @type {string} */ name) => join(ROOT, 'scripts', name);

const CRUISED = ['src', 'test', 'scripts', 'examples'].filter((folder) => existsSync(join(ROOT, folder)));

/** What it has to say, `types` says as well. @type {Step} */
const BUILD = { name: 'build', quiet: true, command: tool('tsc'), args: ['-p', 'tsconfig.build.json'] };

/** The slow ones first, so that they do not end up alone. @type {readonly Step[]} */
const STEPS = [
  { name: 'package', command: process.execPath, args: [script('check-package.mjs')], needsDist: true },
  { name: 'types', command: tool('tsc'), args: ['-p', 'tsconfig.json'] },
  { name: 'types of pure layers', command: tool('tsc'), args: ['-p', 'tsconfig.pure.json'] },
  { name: 'lint', command: tool('oxlint'), args: ['--type-aware', '--deny-warnings'] },
  {
    name: 'layers',
    command: tool('depcruise'),
    args: ['--config', '.dependency-cruiser.mjs', '--output-type', 'err', ...CRUISED],
  },
  { name: 'dead code', command: tool('knip'), args: ['--no-progress'] },
  { name: 'format', command: tool('biome'), args: ['format', '--colors=off'] },
  { name: 'style', command: process.execPath, args: [script('check-style.mjs')] },
  { name: 'docs', command: process.execPath, args: [script('check-docs.mjs')], needsDist: true },
];

/** Runs one step and prints its line. True when it passed. */
async function runStep(/** @type {Step} */ step) {
  const start = performance.now();
  const { code, output } = await capture(step.command, step.args);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${step.name.padEnd(22)} ${seconds.padStart(5)} s`);
  // Some tools colour their output in CI, where nobody sees it as colour.
  if (code !== 0 && step.quiet !== true)
    console.log(stripVTControlCharacters(output).trimEnd().replaceAll(/^/gm, '     '));
  return code === 0;
}

/** Runs the steps, as many at once as there are processors. True when all passed. */
async function runSteps(/** @type {readonly Step[]} */ steps) {
  const queue = [...steps];
  let passed = true;
  const worker = async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (!(await runStep(step))) passed = false;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return passed;
}

async function main() {
  const wanted = process.argv.slice(2);
  const steps = STEPS.filter((step) => wanted.length === 0 || wanted.includes(step.name.split(' ')[0] ?? ''));
  if (steps.length === 0) {
    console.error(`no such step; there are: ${STEPS.map((step) => step.name).join(', ')}`);
    return 2;
  }
  const start = performance.now();
  const built = !steps.some((step) => step.needsDist) || (await runStep(BUILD));
  const passed = await runSteps(built ? steps : steps.filter((step) => !step.needsDist));
  console.log(
    `${built && passed ? 'all good' : 'not good'} after ${((performance.now() - start) / 1000).toFixed(1)} s`,
  );
  return built && passed ? 0 : 1;
}

process.exitCode = await main();
