// Random calls on the handles of one channel: every way to send and to receive, at once, from inside handlers, cut
// short by time-outs, signals and closing. What was sent is received once, whole, and in order; no more, no less.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { IPCError } from '../../src/base/errors.ts';
import { ChannelType, ConnMode, IPCChannel, type MessageView, type ShmChannelOptions } from '../../src/shm/index.ts';
import { makeMessage, readMessage } from './content.ts';
import { nothingLeft, uniqueName } from './processes.ts';

/** Many of them give the processor away, which takes long on a busy machine. `ISTHMUS_SHM_CALLS` makes more. */
const OPERATIONS = Number(process.env['ISTHMUS_SHM_CALLS'] ?? 300);
const SIZES = [16, 16, 100, 500, 3000, 5000, 12_000, 70_000];
const PLACE_BYTES = 100_000;
/** What a call may end with here. Everything else is a failure. */
const EXPECTED = new Set(['TIME_OUT', 'TIME_CANCELLED', 'USAGE_CLOSED', 'USAGE_WRONG_MODE', 'LIMIT_MESSAGE_BYTES']);

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  below(limit: number): number {
    this.#state = (Math.imul(this.#state ^ (this.#state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((this.#state ^ (this.#state >>> 13)) >>> 0) % limit;
  }
  of<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)];
    assert.ok(chosen !== undefined);
    return chosen;
  }
}

const codeOf = (error: unknown): string => {
  if (error instanceof IPCError && EXPECTED.has(error.code)) return error.code;
  throw error;
};

/** Sends numbered messages in every way, and keeps which of them went. */
class Source {
  /** In the order of the calls: the numbers of each, and how many of them went; unknown while it waits. */
  readonly calls: { numbers: number[]; sent: number | undefined }[] = [];
  readonly channel: IPCChannel;
  readonly #id: number;
  readonly #random: Random;
  #next = 0;

  constructor(channel: IPCChannel, id: number, random: Random) {
    this.channel = channel;
    this.#id = id;
    this.#random = random;
  }

  get waits(): boolean {
    return this.calls.some(({ sent }) => sent === undefined);
  }
  get wentNumbers(): number[] {
    return this.calls.flatMap(({ numbers, sent }) => numbers.slice(0, sent));
  }

  #messages(count: number): { call: Source['calls'][number]; messages: Buffer[] } {
    const numbers = Array.from({ length: count }, () => this.#next++);
    const call = { numbers, sent: undefined };
    this.calls.push(call);
    return { call, messages: numbers.map((number) => makeMessage(this.#id, number, this.#random.of(SIZES))) };
  }

  #settle(call: Source['calls'][number], sending: Promise<void>): void {
    sending.then(
      () => (call.sent = call.numbers.length),
      (error: unknown) => {
        codeOf(error);
        const { sent } = (error as IPCError).details;
        call.sent = typeof sent === 'number' ? sent : 0;
      },
    );
  }

  #wait(): { timeoutMs?: number; signal?: AbortSignal } {
    const random = this.#random;
    if (random.below(3) > 0) return {};
    if (random.below(2) === 0) return { timeoutMs: random.below(4) };
    const abort = new AbortController();
    setImmediate(() => abort.abort());
    return { signal: abort.signal };
  }

  act(): void {
    const { channel } = this;
    const way = this.#random.below(7);
    const { call, messages } = this.#messages([2, 4].includes(way) ? 1 + this.#random.below(40) : 1);
    const [first = Buffer.alloc(0)] = messages;
    // A way that throws, and does not say how much went, has sent nothing.
    call.sent = 0;
    try {
      if (way === 0) call.sent = Number(channel.trySend(first));
      else if (way === 1) this.#begin(call, channel.send(first, this.#wait()));
      else if (way === 2) this.#begin(call, channel.sendMany(messages, this.#wait()));
      else if (way === 3) {
        channel.sendSync(first, 0.1);
        call.sent = 1;
      } else if (way === 4) call.sent = channel.trySendMany(messages);
      else this.#lend(call, first, way === 5);
    } catch (error) {
      if (codeOf(error) === 'LIMIT_MESSAGE_BYTES' && way === 4) call.sent = Number((error as IPCError).details['sent']);
    }
  }

  #begin(call: Source['calls'][number], sending: Promise<void>): void {
    call.sent = undefined;
    this.#settle(call, sending);
  }

  #lend(call: Source['calls'][number], message: Buffer, commits: boolean): void {
    const loan = this.channel.loan(message.length);
    loan.data.set(message);
    if (commits) this.#begin(call, loan.commit());
    else loan.release();
  }
}

/** Receives in every way, and keeps what came in which order. */
class Sink {
  /** What came by calls that wait: by the order of the calls. */
  readonly waited: { got: { sender: number; number: number }[] }[] = [];
  /** What came at once, or to a handler. */
  readonly taken: { sender: number; number: number }[] = [];
  readonly channel: IPCChannel;
  readonly #random: Random;
  readonly #place = Buffer.alloc(PLACE_BYTES);
  readonly #views: MessageView[] = [];
  #waiting = 0;

  constructor(channel: IPCChannel, random: Random) {
    this.channel = channel;
    this.#random = random;
  }

  get waits(): boolean {
    return this.#waiting > 0;
  }
  get all(): { sender: number; number: number }[] {
    return [...this.taken, ...this.waited.flatMap(({ got }) => got)];
  }

  #await<T>(begin: () => Promise<T>, read: (got: T) => readonly Uint8Array[]): void {
    const call: Sink['waited'][number] = { got: [] };
    this.waited.push(call);
    this.#waiting++;
    begin()
      .then((got) => (call.got = read(got).map((data) => readMessage(data))), codeOf)
      .finally(() => this.#waiting--);
  }

  #take(data: Uint8Array): void {
    this.taken.push(readMessage(data));
  }

  #keep(view: MessageView): Uint8Array {
    this.#views.push(view);
    return view.data;
  }

  releaseViews(): void {
    while (this.#views.length > 0) this.#views.splice(this.#random.below(this.#views.length), 1)[0]?.release();
  }

  /** So that all that waits can go. */
  drain(): void {
    this.releaseViews();
    for (let data = this.channel.tryReceive(); data; data = this.channel.tryReceive()) this.#take(data);
  }

  act(depth = 0): void {
    const { channel } = this;
    const random = this.#random;
    const wait =
      random.below(2) === 0 ? { timeoutMs: random.below(5) } : { signal: AbortSignal.timeout(random.below(5)) };
    const way = random.below(10);
    if (way === 0)
      this.#await(
        () => channel.receive(wait),
        (data) => [data],
      );
    else if (way === 1)
      this.#await(
        () => channel.receiveMany(1 + random.below(20), wait),
        (all) => all,
      );
    else if (way === 2)
      this.#await(
        () => channel.receiveView(wait),
        (view) => [this.#keep(view)],
      );
    else if (way === 3) {
      const place = Buffer.alloc(PLACE_BYTES);
      this.#await(
        () => channel.receiveInto(place, wait),
        (bytes) => [place.subarray(0, bytes)],
      );
    } else if (way === 4) {
      const data = channel.tryReceive();
      if (data) this.#take(data);
    } else if (way === 5) {
      const view = channel.tryReceiveView();
      if (view) this.#take(this.#keep(view));
    } else if (way === 6) {
      const bytes = channel.tryReceiveInto(this.#place);
      if (bytes !== null) this.#take(this.#place.subarray(0, bytes));
    } else if (way === 7) {
      const messages = channel[Symbol.asyncIterator]();
      this.#await(
        () => messages.next(),
        ({ done, value }) => (done === true ? [] : [value]),
      );
      setImmediate(() => void messages.return?.());
    } else if (depth < 3) this.#handle(random.below(2) === 0, 1 + random.below(10), depth);
    if (random.below(4) === 0) this.releaseViews();
  }

  #handle(borrow: boolean, messages: number, depth: number): void {
    let left = messages;
    // Of two handlers both would get it.
    if (this.#handles) return;
    this.#handles = true;
    const end = this.channel.onMessage(
      (data) => {
        this.#take(data);
        if (--left === 0) {
          end();
          this.#handles = false;
        }
        if (this.#random.below(3) === 0) this.act(depth + 1);
        readMessage(data);
        return this.#random.below(4) === 0 ? turn() : undefined;
      },
      { borrow },
    );
  }
  #handles = false;

  /** Each sender's messages come in its order, whichever way; none twice, none that is not expected. */
  check(sources: readonly Source[]): void {
    for (const [sender, source] of sources.entries()) {
      const own = (got: readonly { sender: number; number: number }[]): number[] =>
        got.filter((message) => message.sender === sender).map(({ number }) => number);
      const ascends = (numbers: readonly number[]): boolean =>
        numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0));
      assert.ok(ascends(own(this.taken)), 'taken in order');
      assert.ok(ascends(own(this.waited.flatMap(({ got }) => got.slice(0, 1)))), 'those who wait are served in order');
      assert.deepEqual(
        own(this.all).sort((a, b) => a - b),
        source.wentNumbers,
      );
    }
  }
}

async function run(t: TestContext, seed: number, type: ChannelType, options: ShmChannelOptions): Promise<void> {
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const name = uniqueName('random');
  const open = (mode: ConnMode): IPCChannel => {
    const channel = new IPCChannel(type, name, mode, options);
    t.after(() => channel.close());
    return channel;
  };
  const sinks = [0, 1].map(() => new Sink(open(ConnMode.RECEIVER), random));
  const senders = type === ChannelType.ROUTE ? [0] : [0, 1];
  const sources = senders.map((id) => new Source(open(ConnMode.SENDER), id, random));
  for (let i = 0; i < OPERATIONS; i++) {
    const kind = random.below(20);
    if (kind < 8) random.of(sources).act();
    else if (kind < 17) random.of(sinks).act();
    else if (kind === 17) passBy(random, open(ConnMode.RECEIVER));
    else await turn();
  }
  while (sources.some((source) => source.waits) || sinks.some((sink) => sink.waits)) {
    for (const sink of sinks) sink.drain();
    await turn();
  }
  for (const sink of sinks) {
    sink.drain();
    sink.check(sources);
  }
  for (const { channel } of [...sinks, ...sources]) channel.close();
  await nothingLeft(name);
}

/** Somebody who comes, does something, and is gone in the middle of it. */
function passBy(random: Random, channel: IPCChannel): void {
  const sink = new Sink(channel, random);
  for (let i = random.below(4); i > 0; i--) sink.act();
  const leave = (): void => channel.close();
  if (random.below(2) === 0) leave();
  else setImmediate(leave);
}

for (const [title, type, capacityBytes] of [
  ['a CHANNEL', ChannelType.CHANNEL, 16_384],
  ['a ROUTE', ChannelType.ROUTE, 65_536],
] as const) {
  test(`whatever is called on ${title} when, each message that went is received once, whole and in order`, async (t) => {
    const given = process.env['ISTHMUS_SHM_SEED'];
    await run(t, given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given), type, { capacityBytes });
  });
}
