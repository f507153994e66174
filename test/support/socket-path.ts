// A socket path of its own for each test: nothing that runs beside it can meet it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A path to listen on, and what removes its folder. */
export function socketPath(): { readonly path: string; readonly remove: () => void } {
  if (process.platform === 'win32') {
    const unique = `${process.pid}-${Math.random().toString(36).slice(2)}`;
    return { path: `\\\\.\\pipe\\isthmus-${unique}`, remove: () => {} };
  }
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
  return { path: join(folder, 's'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
