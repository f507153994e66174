// Eight sender processes, two thousand messages, senders killed at random and started again with what they
// had not heard of: what was acknowledged was processed exactly once, and so was everything in the end.
// ISTHMUS_CHAOS_RUNS and ISTHMUS_CHAOS_SEED repeat a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pipe } from '../../src/pipe/index.ts';
import { type PipeFolder, pipeFolder } from '../integration/pipe-folder.ts';
import { withoutFifos as skip } from '../integration/pipe-listening.ts';
import { PipeProcess } from '../integration/pipe-process.ts';
import { randomOf } from './random.ts';

const RUNS = Number(process.env['ISTHMUS_CHAOS_RUNS'] ?? 4);
const SEED = Number(process.env['ISTHMUS_CHAOS_SEED'] ?? Date.now() % 1_000_000);
const SENDERS = 8;
const MESSAGES_EACH = 250;
const KILLS_EACH = 2;
/** Every so many messages one is long, so that a kill can hit it half-way. */
const LONG_EVERY = 10;
const LONG_BYTES = 150_000;

/** One of the eight: started again after each kill, until everything of its own is acknowledged. */
class Sender {
  readonly acknowledged = new Set<string>();
  readonly #place: PipeFolder;
  readonly #random: () => number;
  readonly #messages: ReadonlyMap<string, string>;
  #killsLeft = KILLS_EACH;
  #process: PipeProcess | undefined;
  #killAfter = 0;

  constructor(who: number, place: PipeFolder, random: () => number) {
    this.#place = place;
    this.#random = random;
    const ids = Array.from({ length: MESSAGES_EACH }, (_, n) => `${who}-${n}`);
    this.#messages = new Map(ids.map((id, n) => [id, n % LONG_EVERY === 0 ? `${id}|+` : `${id}|`]));
  }

  async run(): Promise<void> {
    while (this.acknowledged.size < MESSAGES_EACH) {
      this.#killAfter = this.#killsLeft > 0 ? 1 + Math.floor(this.#random() * 80) : Number.POSITIVE_INFINITY;
      this.#process = new PipeProcess(
        this.#place.defer,
        {
          role: 'send',
          name: 'p',
          directory: this.#place.folder,
          messages: [...this.#messages].filter(([id]) => !this.acknowledged.has(id)).map(([, message]) => message),
          longBytes: LONG_BYTES,
          width: 1 + Math.floor(this.#random() * 4),
        },
        ({ acknowledged }) => {
          if (acknowledged !== undefined) this.acknowledged.add(acknowledged);
        },
      );
      await this.#process.exited();
    }
  }

  /** Called when the listener takes one of its messages: a moment at which the exchange is half done. */
  struck(): void {
    this.#killAfter -= 1;
    if (this.#killAfter !== 0 || this.#killsLeft === 0) return;
    this.#killsLeft -= 1;
    void this.#process?.kill();
  }

  get killsLeft(): number {
    return this.#killsLeft;
  }
}

for (let round = 0; round < RUNS; round++) {
  const seed = SEED + round;
  test(`senders killed at random: acknowledged is processed exactly once (seed ${seed})`, { skip }, async (t) => {
    const place = pipeFolder(t);
    const { folder, defer } = place;
    const random = randomOf(seed);
    const processed = new Map<string, number>();
    const senders = Array.from({ length: SENDERS }, (_, who) => new Sender(who, place, random));
    const pipe = new Pipe(
      'p',
      async (text) => {
        const bar = text.indexOf('|');
        const id = text.slice(0, bar);
        assert.ok(text.length === bar + 1 || text.length === bar + 1 + LONG_BYTES, 'a message arrived in pieces');
        senders[Number.parseInt(id, 10)]?.struck();
        await new Promise((resolve) => setImmediate(resolve));
        processed.set(id, (processed.get(id) ?? 0) + 1);
      },
      { directory: folder },
    );
    await pipe.listen();
    defer(() => pipe.close());
    await Promise.all(senders.map((sender) => sender.run()));

    assert.equal(
      senders.reduce((sum, sender) => sum + sender.killsLeft, 0),
      0,
      'kills that did not happen',
    );
    for (const { acknowledged } of senders) {
      for (const id of acknowledged) assert.equal(processed.get(id), 1, id);
    }
    assert.equal(processed.size, SENDERS * MESSAGES_EACH);
  });
}
