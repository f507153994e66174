// `npm start`: builds where sources are newer than dist, then becomes `isthmus serve`. The command runs
// in this process, so that signals and the exit code are its own.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildDist, isDistStale } from './build.mjs';
import { ROOT } from './project.mjs';

const stale = isDistStale();
if (stale) console.error('Building; this takes a moment.');
if (stale && !(await buildDist())) {
  process.exitCode = 1;
} else {
  const command = join(ROOT, 'dist', 'cli', 'main.js');
  process.argv = [process.execPath, command, 'serve', ...process.argv.slice(2)];
  await import(pathToFileURL(command).href);
}
