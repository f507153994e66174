// `send`: one call, nothing to open or close.

import { knownOptions, stringOption } from '../base/options.ts';
import { PipeError } from './errors.ts';
import { pipePlace } from './names.ts';
import { Pipe } from './pipe.ts';
import type { PipeFormat } from './pipe-options.ts';
import { PipeSender, SEND_OPTIONS, type SendOptions } from './sender.ts';

/** Options of `send`. */
export interface SendToOptions extends SendOptions {
  /** The directory that a relative name is in. Default: that of the `Pipe`, else the working directory. */
  readonly directory?: string | undefined;
}

const SEND_TO_OPTIONS = ['directory', ...SEND_OPTIONS];

interface Shared {
  readonly sender: PipeSender;
  readonly retirement: NodeJS.Timeout;
  users: number;
}

/** How long a lane is kept for the next `send` to the same pipe. It keeps no process alive. */
const KEEP_LANE_MS = 200;

/** Sends to the same pipe share a lane. */
const shared = new Map<string, Shared>();

/**
 * Sends a text or bytes, and resolves to true when the listener has processed and acknowledged the message.
 *
 * @throws PipeError as `PipeSender.send` does
 * @example
 * ```ts
 * await send('jobs', 'tidy up');
 * await send(pipe, new Uint8Array([1, 2, 3]), { timeout: 2_000, maxAttempts: 0 }); // waits for a listener
 * ```
 */
export async function send(
  pipe: string | Pipe<PipeFormat>,
  message: string | Uint8Array,
  options: SendToOptions = {},
): Promise<true> {
  knownOptions('send', options, SEND_TO_OPTIONS);
  const { directory: given, ...sendOptions } = options;
  const directory = stringOption('directory', given, pipe instanceof Pipe ? pipe.directory : process.cwd());
  const name = pipe instanceof Pipe ? pipe.name : pipe;
  const key = pipePlace(name, directory).data;
  const entry = shared.get(key) ?? share(key, new PipeSender(name, { directory }));
  entry.users += 1;
  try {
    return await entry.sender.send(message, sendOptions);
  } finally {
    entry.users -= 1;
    if (entry.users === 0) entry.retirement.refresh();
  }
}

function share(key: string, sender: PipeSender): Shared {
  const retirement = setTimeout(() => {
    // One that is in use comes back here after its last send.
    if (entry.users > 0) return;
    shared.delete(key);
    void sender.close().catch((cause: unknown) => {
      process.emitWarning(new PipeError('NETWORK_LOST', 'the lane did not close', { cause }));
    });
  }, KEEP_LANE_MS);
  retirement.unref();
  const entry: Shared = { sender, retirement, users: 0 };
  shared.set(key, entry);
  return entry;
}
