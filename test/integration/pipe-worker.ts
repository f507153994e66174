// A process that sends or listens on a named pipe, driven by its parent over Node's own IPC channel.

import { join } from 'node:path';
import { Pipe, PipeSender } from '../../src/pipe/index.ts';
import { system } from '../../src/pipe/system.ts';

/** What the parent asks for, in the environment. */
export interface PipeWorkerOrder {
  readonly role: 'listen' | 'send';
  readonly name: string;
  readonly directory: string;
  /** Sockets in that directory in place of FIFOs, as on Windows. */
  readonly sockets?: boolean;
  /** For a sender: the messages, sent `width` at a time; what stands before `|` is the id. */
  readonly messages?: readonly string[];
  readonly width?: number;
  /** For a sender: a message that ends in `+` gets so many bytes in its place. */
  readonly longBytes?: number;
  /** For a listener: never finish a message that begins with this. */
  readonly hangOn?: string;
}

function tell(event: unknown): void {
  process.send?.(event);
}

async function listen({ name, directory, hangOn }: PipeWorkerOrder): Promise<void> {
  const pipe = new Pipe(
    name,
    (text) => {
      // Short enough that the system takes it at once: what was told before a kill arrives.
      tell({ message: text.slice(0, 64) });
      return hangOn !== undefined && text.startsWith(hangOn) ? new Promise(() => {}) : undefined;
    },
    { directory, daemon: false },
  );
  await pipe.listen();
  tell({ ready: true });
}

async function send({ name, directory, messages = [], width = 1, longBytes = 0 }: PipeWorkerOrder): Promise<void> {
  await using sender = new PipeSender(name, { directory });
  const queue = [...messages];
  const one = async (): Promise<void> => {
    for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
      const id = message.split('|', 1)[0] ?? '';
      await sender.send(
        message.replace('+', () => 'x'.repeat(longBytes)),
        { id },
      );
      tell({ acknowledged: id });
    }
  };
  await Promise.all(Array.from({ length: width }, one));
  tell({ finished: true });
}

const order = JSON.parse(process.env['PIPE_WORKER'] ?? '{}') as PipeWorkerOrder;
if (order.sockets === true) system.addressOf = (name) => join(order.directory, name);
await (order.role === 'listen' ? listen(order) : send(order));
if (order.role === 'send') process.disconnect();
