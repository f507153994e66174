// Publishers, subscribers, callers and workers are killed with SIGKILL at random moments, and others take
// their place: whoever survives notices nothing but what is documented, and the server keeps nothing of them.
// ISTHMUS_KILLS is how many are killed, ISTHMUS_CHAOS_SEED repeats a run.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type ClientOptions, type IPCClient, IPCError } from '../../src/client/index.ts';
import { type AtWork, atWork, TRANSPORTS, withCode } from '../support/broker-at-work.ts';
import { KILLS, randomOf, SEED } from './random.ts';
import { Actor } from './actors.ts';
import { leftovers, NOTHING } from './leftovers.ts';
import type { ActorEvent, ActorOrder, ClientOrder, Numbered } from './orders.ts';

const CONNECTIONS_MAX = 40;
const FEEDS = ['feed.a', 'feed.b'] as const;
/** How much happens between two kills, at most. */
const EVENTS_BETWEEN_KILLS = 60;

const CAST = ['publisher', 'publisher', 'subscriber', 'caller', 'worker', 'worker'] as const;

/** Checks that each life of each publisher is heard in order, on each channel, with nothing twice and no gap. */
class Hearing {
  readonly #next = new Map<string, number>();
  fault: string | undefined;

  hear(channel: string, { tag, n }: Numbered): void {
    const key = `${tag} ${channel}`;
    const expected = this.#next.get(key) ?? 0;
    if (n !== expected) this.fault ??= `${key}: ${n} came where ${expected} was due`;
    this.#next.set(key, n + 1);
  }

  /** How many came. */
  count(tag: string, channel: string): number {
    return this.#next.get(`${tag} ${channel}`) ?? 0;
  }
}

/** One part of the cast: whoever plays it is killed, and somebody new plays on. */
class Part {
  actor: Actor;
  readonly #t: TestContext;
  readonly #role: (typeof CAST)[number];
  readonly #index: number;
  readonly #client: ClientOrder;
  readonly #onEvent: (event: ActorEvent) => void;
  #lives = 0;
  /** Everything up to here was confirmed to this life. */
  confirmed = -1;
  tag = '';

  constructor(t: TestContext, index: number, client: ClientOrder, onEvent: (event: ActorEvent) => void) {
    this.#t = t;
    this.#index = index;
    this.#role = CAST[index] as (typeof CAST)[number];
    this.#client = client;
    this.#onEvent = onEvent;
    this.actor = this.#live();
  }

  next(): void {
    this.actor = this.#live();
  }

  #live(): Actor {
    this.#lives += 1;
    this.tag = `${this.#role} ${this.#index}.${this.#lives}`;
    this.confirmed = -1;
    return new Actor(this.#t, this.#order(), {
      onEvent: (event) => {
        if (event.confirmed !== undefined) this.confirmed = event.confirmed;
        this.#onEvent(event);
      },
    });
  }

  #order(): ActorOrder {
    const base = { tag: this.tag, client: this.#client };
    switch (this.#role) {
      case 'publisher':
        return { ...base, role: 'publisher', channels: FEEDS };
      case 'subscriber':
        return {
          ...base,
          role: 'subscriber',
          pattern: 'feed.>',
          options: { policy: 'block', creditBytes: 16 * 1024 },
          slownessMs: 1,
          expected: -1,
        };
      default:
        return { ...base, role: this.#role };
    }
  }
}

function furnish({ app }: AtWork): { readonly streams: { begun: number; ended: number } } {
  const streams = { begun: 0, ended: 0 };
  app.createChannel('count').setHandler('request', async function* ({ payload }) {
    streams.begun += 1;
    try {
      for (let i = 0; i < (payload as number); i += 1) {
        yield i;
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      streams.ended += 1;
    }
  });
  app
    .createChannel('never')
    .setHandler('request', ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)));
  return { streams };
}

/** Asks without end until stopped; each answer is right, or says that the worker was killed over it. */
function survivingCaller(
  client: IPCClient,
  happened: () => void,
): { stop(): Promise<{ right: number; lost: number }> } {
  const stopping = new AbortController();
  const count = { right: 0, lost: 0 };
  const ask = async (lane: number): Promise<void> => {
    for (let n = lane; !stopping.signal.aborted; n += 1) {
      try {
        assert.equal(await client.call('double', n, { timeout: 0 }), 2 * n);
        count.right += 1;
      } catch (thrown) {
        if (!(thrown instanceof IPCError) || thrown.code !== 'REMOTE_LOST') throw thrown;
        count.lost += 1;
      }
      if (n % 50 === 0) happened();
    }
  };
  const lanes = Promise.all([0, 1, 2, 3].map(ask));
  return {
    async stop() {
      stopping.abort();
      await lanes;
      return count;
    },
  };
}

for (const transport of TRANSPORTS) {
  test(`${transport}: clients are killed at random, and the others notice nothing (seed ${SEED})`, async (t) => {
    const random = randomOf(SEED);
    const work = await atWork(t, transport, {
      maxConnections: CONNECTIONS_MAX,
      limits: { publishWindowBytes: 64 * 1024 },
    });
    const { streams } = furnish(work);
    const faults: string[] = [];
    work.server.on('fault', (error) => faults.push(String(error)));
    const watcher = await work.client({ name: 'watcher' });
    const news: { event: string; name: string }[] = [];
    const wills: string[] = [];
    await watcher.subscribe('$presence', ({ payload }) => news.push(payload as (typeof news)[number]));
    await watcher.subscribe('wills', ({ payload }) => wills.push(payload as string));
    const hearing = new Hearing();
    const survivor = await work.client({ name: 'survivor' });
    await survivor.serve('double', ({ payload }) => 2 * (payload as number));

    let countdown = Number.POSITIVE_INFINITY;
    let strike: () => void = () => undefined;
    const happened = (): void => {
      countdown -= 1;
      if (countdown <= 0) strike();
    };
    await survivor.subscribe('feed.>', ({ channelId, payload }) => {
      hearing.hear(channelId, payload as Numbered);
      happened();
    });
    const heard = async (tag: string, upTo: number): Promise<void> => {
      while (FEEDS.some((feed) => hearing.count(tag, feed) <= upTo)) await survivor.ping(0);
    };
    const caller = survivingCaller(await work.client({ name: 'asker' }), happened);
    const client = work.address as ClientOrder;
    const cast = CAST.map(
      (_, index) =>
        new Part(t, index, client, (event) => {
          if (event.fault !== undefined) faults.push(event.fault);
          happened();
        }),
    );

    const killed: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await new Promise<void>((resolve) => {
        strike = resolve;
        countdown = 1 + Math.floor(random() * EVENTS_BETWEEN_KILLS);
      });
      const part = cast[Math.floor(random() * cast.length)] as Part;
      const { tag, actor } = part;
      await actor.kill();
      killed.push(tag);
      // Told by its process before it died, so all of it must arrive.
      const { confirmed } = part;
      part.next();
      if (tag.startsWith('publisher')) await heard(tag, confirmed);
    }

    for (const { actor } of cast) await actor.says('connectionId');
    for (const { actor } of cast) actor.tell('finish');
    for (const { actor, tag } of cast) assert.equal(await actor.ended(), 'exit 0', `${tag}: ${faults.join('\n')}`);
    const { right, lost } = await caller.stop();
    while (work.server.getStats().totalConnections > 3) await watcher.ping(0);
    // What the server said of their leaving comes before the answer to a ping that follows it.
    await watcher.ping(0);
    for (const { tag, confirmed } of cast) if (tag.startsWith('publisher')) await heard(tag, confirmed);

    assert.deepEqual(faults, []);
    assert.equal(hearing.fault, undefined);
    for (const { tag, confirmed } of cast) {
      for (const feed of FEEDS) {
        if (tag.startsWith('publisher')) assert.equal(hearing.count(tag, feed), confirmed + 1, `${tag} on ${feed}`);
      }
    }
    assert.ok(right > 0, `${right} right answers, ${lost} lost`);
    const came = news.filter(({ event, name }) => event === 'join' && / \d+\.\d+$/.test(name)).map(({ name }) => name);
    const went = news.filter(({ event }) => event === 'leave').map(({ name }) => name);
    assert.equal(new Set(came).size, came.length);
    assert.deepEqual(went.sort(), [...came].sort());
    assert.deepEqual(wills.sort(), killed.filter((tag) => came.includes(tag)).sort());
    assert.equal(streams.ended, streams.begun);
    const expected = { ...NOTHING, connections: 3, listed: 3, members: 3, subscriptions: 3, receivers: 3, workers: 1 };
    assert.deepEqual(leftovers(work.server), { ...expected, receivers: leftovers(work.server)['receivers'] });
    for (const connection of work.server.connectionManager.listConnections()) assert.equal(connection.outboxBytes, 0);
    await everyPlaceIsFree(work);
  });
}

/** As many as may come in still can: no place was lost with anybody. */
async function everyPlaceIsFree(work: AtWork): Promise<void> {
  const options: ClientOptions = { heartbeatInterval: 0 };
  for (let free = CONNECTIONS_MAX - 3; free > 0; free -= 1) await work.client(options);
  await assert.rejects(work.client(options), withCode('LIMIT_CONNECTIONS'));
}
