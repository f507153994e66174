// A server that says exactly what a test tells it to, right or wrong, over a wire in memory; and a platform
// for the client whose clock stands still until the test moves it.

import { Client } from '../../src/client/client.ts';
import type { ClientOptions } from '../../src/client/options.ts';
import type { Platform } from '../../src/client/platform.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../src/protocol/codec.ts';
import { allocatePlain, FrameCutter } from '../../src/protocol/frame.ts';
import { FrameType, LENGTH_BYTES } from '../../src/protocol/frame-types.ts';
import { writeFields } from '../../src/session/session.ts';
import { memoryWirePair } from '../../src/transports/memory-wire.ts';
import { SlabPool } from '../../src/session/slab-pool.ts';
import type { Wire } from '../../src/transports/wire.ts';

export const WELCOME = {
  connectionId: 'c1',
  server: 'scripted',
  capabilities: ['streams', 'credit', 'fragments'],
  messageBytesMax: 1024 * 1024,
  publishWindowBytes: 1024,
  streamWindowBytes: 1024,
  heartbeatIntervalMs: 0,
  resumed: false,
};

/** The server's end of one connection. */
export class ScriptedPeer {
  readonly #wire: Wire;
  readonly #cutter = new FrameCutter(1024 * 1024);
  readonly #frames: Frame[] = [];
  readonly #waiting: ((frame: Frame | undefined) => void)[] = [];
  closed = false;

  constructor(wire: Wire) {
    this.#wire = wire;
    wire.open({
      data: (chunk) => {
        this.#cutter.push(chunk);
        while (this.#cutter.next()) {
          // A copy: the chunk is the cutter's.
          const body = this.#cutter.buffer.slice(this.#cutter.start, this.#cutter.end);
          const frame = decodeFrame(body, 0, body.length);
          const waiting = this.#waiting.shift();
          if (waiting === undefined) this.#frames.push(frame);
          else waiting(frame);
        }
      },
      drain: () => {},
      close: () => {
        this.closed = true;
        for (const waiting of this.#waiting.splice(0)) waiting(undefined);
      },
    });
  }

  /** The next frame of this type; others before it are skipped. Throws when the connection ends first. */
  async next(type: number): Promise<Frame> {
    for (;;) {
      const frame = await this.any();
      if (frame.type === type) return frame;
    }
  }

  /** The next frame, whatever it is. */
  async any(): Promise<Frame> {
    const frame =
      this.#frames.shift() ?? (await new Promise<Frame | undefined>((resolve) => this.#waiting.push(resolve)));
    if (frame === undefined) throw new Error('the client has gone');
    return frame;
  }

  /** The frames arrive in one chunk. */
  send(...frames: Parameters<typeof encodeFrame>[0][]): void {
    const parts = frames.flatMap((fields) => {
      const body = encodeFrame(fields);
      const length = new Uint8Array(LENGTH_BYTES);
      new DataView(length.buffer).setUint32(0, body.length);
      return [length, body];
    });
    this.#wire.write(parts, () => {});
  }

  async welcome(changes: object = {}): Promise<void> {
    await this.next(FrameType.HELLO);
    this.send({ type: FrameType.WELCOME, value: 1, payload: writeFields({ ...WELCOME, ...changes }) });
  }

  drop(): void {
    this.#wire.destroy();
  }
}

export interface Script {
  readonly client: Client;
  /** The server's end of the next connection. */
  peer(): Promise<ScriptedPeer>;
  /** Moves the clock, and runs what is due. */
  pass(ms: number): void;
  /** Timers that run. */
  readonly timers: number;
  /** What the client said to nobody. */
  readonly warnings: readonly Error[];
}

/** A client that connects to scripted peers. */
export function script(options: ClientOptions = {}): Script {
  let now = 0;
  let timers: { readonly dueAt: number; readonly run: () => void }[] = [];
  const peers: ScriptedPeer[] = [];
  const warnings: Error[] = [];
  const waiting: ((peer: ScriptedPeer) => void)[] = [];
  const platform: Platform = {
    connect: () => {
      const [mine, theirs] = memoryWirePair();
      const peer = new ScriptedPeer(theirs);
      const next = waiting.shift();
      if (next === undefined) peers.push(peer);
      else next(peer);
      return Promise.resolve(mine);
    },
    clock: () => now,
    now: () => now,
    uniqueId: () => 'u1',
    random: () => 0.5,
    defer: (run) => queueMicrotask(run),
    setTimer: (delayMs, run) => {
      const timer = { dueAt: now + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    allocate: allocatePlain,
    pool: new SlabPool(allocatePlain),
    warn: (error) => void warnings.push(error),
  };
  return {
    client: new Client('shop', options, platform),
    peer: () => {
      const ready = peers.shift();
      return ready === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(ready);
    },
    pass: (ms) => {
      const end = now + ms;
      for (;;) {
        const due = timers.filter((one) => one.dueAt <= end).sort((a, b) => a.dueAt - b.dueAt)[0];
        if (due === undefined) break;
        now = Math.max(now, due.dueAt);
        timers = timers.filter((one) => one !== due);
        due.run();
      }
      now = end;
    },
    get timers() {
      return timers.length;
    },
    warnings,
  };
}

/** A client that is connected to a scripted peer. */
export async function connected(options: ClientOptions = {}): Promise<Script & { server: ScriptedPeer }> {
  const made = script(options);
  const connecting = made.client.connect();
  const server = await made.peer();
  await server.welcome();
  await connecting;
  return Object.assign(made, { server });
}
