// A listener for tests of named pipes, with the proof at the end that nothing is left.

import type { TestContext } from 'node:test';
import { Pipe, type PipeCallback, type PipeOptions } from '../../src/pipe/index.ts';
import { pipeFolder } from './pipe-folder.ts';

export const withoutFifos = process.platform === 'win32' ? 'FIFOs are of POSIX' : false;

/** A listener in this process that records what it gets; closed when the test ends. */
export async function listening(t: TestContext, options: PipeOptions<'text'> = {}, callback?: PipeCallback) {
  const { folder, defer } = pipeFolder(t);
  const got: string[] = [];
  const record: PipeCallback = (text, info) => {
    got.push(text);
    return callback?.(text, info);
  };
  const pipe = new Pipe('p', record, { directory: folder, ...options });
  await pipe.listen();
  defer(() => pipe.close());
  return { pipe, got, folder, defer };
}

/** Something that one side opens and the other waits for. */
export function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}
