// One life of a listener: claims the name, opens the door for senders of ours and the FIFOs for those of the
// original package, and takes everything away again. What it claims it gives back in the reverse order.

import { randomBytes } from 'node:crypto';
import { PipeError } from './errors.ts';
import { FifoDoor, sweepLanes } from './fifo-door.ts';
import type { GoodbyeCode } from './frames.ts';
import type { Inbox } from './inbox.ts';
import { type LaneHost, LaneServer } from './lane-server.ts';
import type { LaneStream } from './lane-stream.ts';
import { type NameLock, tryLock } from './lock.ts';
import type { PipePaths } from './names.ts';
import { OriginalServer, refuseForeignListener } from './original-server.ts';
import type { ResolvedPipeOptions } from './pipe-options.ts';

export class Listener {
  readonly #paths: PipePaths;
  readonly #inbox: Inbox;
  readonly #lock: NameLock;
  readonly #door: FifoDoor;
  readonly #originals: OriginalServer;
  readonly #lanes = new Set<LaneServer>();
  readonly #host: LaneHost;
  readonly #isDaemon: boolean;
  #isClosing = false;

  private constructor(paths: PipePaths, options: ResolvedPipeOptions, inbox: Inbox, lock: NameLock) {
    this.#paths = paths;
    this.#inbox = inbox;
    this.#lock = lock;
    this.#isDaemon = options.daemon;
    this.#host = {
      inbox,
      instance: randomBytes(16).toString('hex'),
      maxMessageBytes: options.maxMessageBytes,
      refusal: () => this.#refusal(options.maxSenders),
      gone: (lane) => this.#lanes.delete(lane),
      isAlone: () => this.#lanes.size === 1,
    };
    // The door first: a sender of ours that finds no door takes whoever reads the data FIFO for the original.
    this.#door = new FifoDoor(paths, options.mode, options.bufferBytes, (stream) => this.#enter(stream));
    try {
      this.#originals = new OriginalServer(paths, options.mode, options.maxMessageBytes, inbox);
    } catch (thrown) {
      this.#door.hide();
      this.#door.close('REMOTE_CLOSED');
      throw thrown;
    }
    this.#door.setRef(!options.daemon);
    this.#originals.setRef(!options.daemon);
  }

  /**
   * @throws PipeError `NETWORK_LISTEN_FAILED` somebody listens there · `NETWORK_PERMISSION` ·
   * `NETWORK_PATH_OCCUPIED` one of the files is no FIFO
   * @throws IPCError `SYSTEM_NO_ADDON`
   */
  static async open(paths: PipePaths, options: ResolvedPipeOptions, inbox: Inbox): Promise<Listener> {
    const lock = tryLock(paths.lock, options.mode & 0o666);
    if (lock === undefined) {
      throw new PipeError('NETWORK_LISTEN_FAILED', `somebody listens on ${paths.data}`, {
        details: { path: paths.data },
      });
    }
    try {
      await refuseForeignListener(paths);
      sweepLanes(paths);
      lock.markSettled();
      return new Listener(paths, options, inbox, lock);
    } catch (thrown) {
      lock.release(true);
      throw thrown;
    }
  }

  /** Waits for callbacks that run, answers, says goodbye; until the end, whoever comes is told. The inbox must have been stopped. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#inbox.whenIdle();
    await Promise.all([...this.#lanes].map((lane) => lane.farewell('REMOTE_CLOSED')));
    await this.#originals.close();
    this.#door.hide();
    this.#door.close('REMOTE_CLOSED');
    await Promise.all([...this.#lanes].map((lane) => lane.farewell('REMOTE_CLOSED')));
    sweepLanes(this.#paths);
    this.#lock.release(true);
  }

  #enter(stream: LaneStream): void {
    if (this.#isDaemon) stream.setRef(false);
    this.#lanes.add(new LaneServer(this.#host, stream));
  }

  #refusal(maxSenders: number): GoodbyeCode | undefined {
    if (this.#isClosing) return 'REMOTE_CLOSED';
    return this.#lanes.size > maxSenders ? 'LIMIT_CONNECTIONS' : undefined;
  }
}
