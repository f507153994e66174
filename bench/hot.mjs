// @ts-check
// node bench/hot.mjs FILE… : the functions with the most self time in CPU profiles, idle time left out.

import { readFile } from 'node:fs/promises';

const SHOWN = 25;

/**
 * @typedef {object} Profile as V8 writes it
 * @property {{ id: number, callFrame: { functionName: string, url: string, lineNumber: number } }[]} nodes
 * @property {number[]} samples
 * @property {number[]} timeDeltas in microseconds
 */

for (const file of process.argv.slice(2)) {
  const profile = /** @type {Profile} */ (JSON.parse(await readFile(file, 'utf8')));
  const places = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const where = url === '' ? '' : ` ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`;
      return [id, `${functionName || '(anonymous)'}${where}`];
    }),
  );
  /** @type {Map<string, number>} */
  const selfUs = new Map();
  let totalUs = 0;
  let idleUs = 0;
  profile.samples.forEach((id, i) => {
    const us = profile.timeDeltas[i] ?? 0;
    const place = places.get(id) ?? '(unknown)';
    if (place === '(idle)') {
      idleUs += us;
      return;
    }
    totalUs += us;
    selfUs.set(place, (selfUs.get(place) ?? 0) + us);
  });
  const busy = ((100 * totalUs) / (totalUs + idleUs)).toFixed(0);
  console.log(`${file}: ${(totalUs / 1e6).toFixed(2)} s busy, ${busy} % of the time`);
  const sorted = [...selfUs].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  for (const [place, us] of sorted) console.log(`${((100 * us) / totalUs).toFixed(1).padStart(6)} %  ${place}`);
}
