// Eight senders and a row of listeners, each in a process that is stopped, resumed or killed at a random moment;
// the next takes over. What was acknowledged was processed; nothing was processed twice but what a sender had
// sent again after it was told that nobody knows. ISTHMUS_CHAOS_RUNS and ISTHMUS_CHAOS_SEED repeat a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pipe, PipeError, PipeSender } from '../../src/pipe/index.ts';
import { type PipeFolder, pipeFolder } from '../integration/pipe-folder.ts';
import { withoutFifos as skip } from '../integration/pipe-listening.ts';
import { PipeProcess } from '../integration/pipe-process.ts';
import { randomOf } from './random.ts';

const RUNS = Number(process.env['ISTHMUS_CHAOS_RUNS'] ?? 2);
const SEED = Number(process.env['ISTHMUS_CHAOS_SEED'] ?? Date.now() % 1_000_000);
const SENDERS = 8;
const MESSAGES_EACH = 80;
/** What a sender has under way at a time. */
const WIDTH = 3;
const LIVES = 7;
const LONG_EVERY = 10;
const LONG_BYTES = 150_000;

/** How often it was said of each message that nobody knows. */
const lostOf = new Map<string, number>();

/** Sends until it is acknowledged, or the test has ended. */
async function insist(sender: PipeSender, id: string, message: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await sender.send(message, { id, maxAttempts: 0, timeout: 0, signal });
      return;
    } catch (error) {
      assert.ok(error instanceof PipeError && error.code === 'NETWORK_LOST', String(error));
      lostOf.set(id, (lostOf.get(id) ?? 0) + 1);
    }
  }
}

async function sendAll(who: number, directory: string, signal: AbortSignal): Promise<void> {
  await using sender = new PipeSender('p', { directory });
  const numbers = Array.from({ length: MESSAGES_EACH }, (_, n) => n);
  const one = async (): Promise<void> => {
    for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) {
      const id = `${who}-${n}`;
      await insist(sender, id, `${id}|${n % LONG_EVERY === 0 ? 'x'.repeat(LONG_BYTES) : ''}`, signal);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, one));
}

/** One life: ends in a kill after so many messages, perhaps in the middle of a stop. */
async function live(
  { folder, defer }: PipeFolder,
  random: () => number,
  onMessage: (id: string) => void,
): Promise<void> {
  let left = 5 + Math.floor(random() * 50);
  let enough = (): void => {};
  const reached = new Promise<void>((resolve) => (enough = resolve));
  const listener = new PipeProcess(defer, { role: 'listen', name: 'p', directory: folder }, ({ message }) => {
    if (message === undefined) return;
    onMessage(message.slice(0, message.indexOf('|')));
    if (--left === 0) enough();
  });
  await listener.until((event) => event.ready === true);
  await reached;
  if (random() < 0.5) {
    listener.signal('SIGSTOP');
    // Who is stopped lives: its place is not free, and nobody who sends to it fails.
    const second = new Pipe('p', () => {}, { directory: folder });
    await assert.rejects(second.listen(), { code: 'NETWORK_LISTEN_FAILED' });
    if (random() < 0.5) {
      listener.signal('SIGCONT');
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
    }
  }
  await listener.kill();
}

for (let round = 0; round < RUNS; round++) {
  const seed = SEED + round;
  test(`listeners stopped and killed at random: what is acknowledged was processed (seed ${seed})`, {
    skip,
  }, async (t) => {
    const place = pipeFolder(t);
    const { folder, defer } = place;
    const random = randomOf(seed);
    const processed = new Map<string, number>();
    const count = (id: string): void => void processed.set(id, (processed.get(id) ?? 0) + 1);
    lostOf.clear();
    const over = new AbortController();
    const senders = Array.from({ length: SENDERS }, (_, who) => sendAll(who, folder, over.signal));
    defer(() => {
      over.abort();
      return Promise.allSettled(senders);
    });
    const last = new Pipe('p', (text) => count(text.slice(0, text.indexOf('|'))), { directory: folder });
    defer(() => last.close());
    const listened = (async () => {
      for (let n = 0; n < LIVES; n++) await live(place, random, count);
      await last.listen();
    })();
    // Whichever fails ends the test.
    await Promise.all([...senders, listened]);
    assert.equal(processed.size, SENDERS * MESSAGES_EACH);
    for (const [id, times] of processed) {
      assert.ok(times <= 1 + (lostOf.get(id) ?? 0), `${id}: ${times} times, lost ${lostOf.get(id) ?? 0} times`);
    }
  });
}
