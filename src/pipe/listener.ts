// One life of a listener: the place where it is found, and a lane for each sender of ours that came in.

import { randomBytes } from 'node:crypto';
import type { GoodbyeCode } from './frames.ts';
import type { Inbox } from './inbox.ts';
import { type LaneHost, LaneServer } from './lane-server.ts';
import type { LaneStream } from './lane-stream.ts';
import type { PipePlace } from './names.ts';
import type { ResolvedPipeOptions } from './pipe-options.ts';
import { occupy, type Premises } from './premises.ts';
import { SenderRecords } from './sender-record.ts';

export class Listener {
  readonly #inbox: Inbox;
  readonly #lanes = new Set<LaneServer>();
  readonly #host: LaneHost;
  readonly #isDaemon: boolean;
  #premises: Premises | undefined;
  #isClosing = false;

  private constructor(options: ResolvedPipeOptions, inbox: Inbox) {
    this.#inbox = inbox;
    this.#isDaemon = options.daemon;
    this.#host = {
      inbox,
      instance: randomBytes(16).toString('hex'),
      maxMessageBytes: options.maxMessageBytes,
      senders: new SenderRecords(options.rememberedIds),
      refusal: () => this.#refusal(options.maxSenders),
      gone: (lane) => this.#lanes.delete(lane),
      isAlone: () => this.#lanes.size === 1,
    };
  }

  /**
   * @throws PipeError `NETWORK_LISTEN_FAILED` somebody listens there · `NETWORK_PERMISSION` ·
   * `NETWORK_PATH_OCCUPIED` one of the files is no FIFO
   * @throws IPCError `SYSTEM_NO_ADDON`
   */
  static async open(place: PipePlace, options: ResolvedPipeOptions, inbox: Inbox): Promise<Listener> {
    const listener = new Listener(options, inbox);
    listener.#premises = await occupy(place, options, inbox, (stream) => listener.#enter(stream));
    listener.#premises.setRef(!options.daemon);
    return listener;
  }

  /** Waits for callbacks that run, answers, says goodbye; until the end, whoever comes is told. The inbox must have been stopped. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#inbox.whenIdle();
    await this.#sayGoodbye();
    await this.#premises?.close();
    await this.#sayGoodbye();
  }

  async #sayGoodbye(): Promise<void> {
    await Promise.all([...this.#lanes].map((lane) => lane.farewell('REMOTE_CLOSED')));
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
