// The server is killed with SIGKILL under clients that come back, and started again at the same address; or
// stopped with SIGSTOP. Every request ends as documented, what was acknowledged was done and nothing was done
// twice, subscriptions are restored, and what arrives keeps the order of its sender.
// ISTHMUS_KILLS is how often it is killed, ISTHMUS_CHAOS_SEED repeats a run.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type ClientOptions, IPCClient, IPCError } from '../../src/client/index.ts';
import { type TestTransport, TRANSPORTS } from '../support/broker-at-work.ts';
import { KILLS, randomOf, SEED } from './random.ts';
import { Actor } from './actors.ts';
import { NOTHING } from './leftovers.ts';
import type { ActorOrder } from './orders.ts';

const CLIENTS = 4;
const LANES = 4;
const DONE_BETWEEN_KILLS = 80;

/** How a request may end when its server is killed, is away, or comes back. */
const DOCUMENTED = new Set(['NETWORK_LOST', 'TIME_OUT', 'TIME_CANCELLED']);

type ServerOptions = Extract<ActorOrder, { readonly role: 'server' }>['server'];

/** A server at one address, life after life. */
class Restarted {
  readonly faults: string[] = [];
  readonly #t: TestContext;
  readonly #folder: string;
  readonly #transport: TestTransport;
  readonly #options: ServerOptions;
  #port = 0;
  /** The next life, ready to listen: clients wait longer from attempt to attempt, so it must come soon. */
  #next: Actor | undefined;
  actor: Actor | undefined;

  constructor(t: TestContext, transport: TestTransport, options: ServerOptions = {}) {
    this.#t = t;
    this.#transport = transport;
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
    writeFileSync(this.journal, '');
    t.after(() => rmSync(this.#folder, { recursive: true }));
  }

  get journal(): string {
    return join(this.#folder, 'journal');
  }

  get address(): ClientOptions {
    if (this.#transport === 'unix') return { path: join(this.#folder, 's') };
    return this.#transport === 'tcp' ? { port: this.#port } : { url: `ws://localhost:${this.#port}` };
  }

  async start(): Promise<Actor> {
    const actor = this.#next ?? this.#prepare();
    this.actor = actor;
    actor.tell('listen');
    this.#port = await actor.says('port');
    this.#next = this.#prepare();
    await this.#next.says('standing');
    return actor;
  }

  #prepare(): Actor {
    const where = this.#transport === 'unix' ? { path: join(this.#folder, 's') } : { port: this.#port };
    const server = { ...where, ...this.#options };
    const order: ActorOrder = { role: 'server', tag: 'server', server, journal: this.journal };
    const onEvent = ({ fault }: { readonly fault?: string }) => {
      if (fault !== undefined) this.faults.push(fault);
    };
    return new Actor(this.#t, order, { onEvent });
  }

  /** Everybody has left: the server has nothing of them, and its process ends by itself. */
  async finish(): Promise<void> {
    const { actor } = this;
    actor?.tell('finish');
    assert.deepEqual(await actor?.says('leftovers'), NOTHING);
    assert.equal(await actor?.ended(), 'exit 0');
    assert.deepEqual(this.faults, []);
  }
}

/** A client that asks, stores and publishes without end, and hears what all of them publish. */
class Busy {
  readonly client: IPCClient;
  readonly acknowledged: string[] = [];
  readonly ended = new Map<string, number>();
  /** What was not as promised. */
  readonly faults: string[] = [];
  readonly #name: string;
  readonly #done: () => void;
  readonly #last = new Map<string, number>();
  #wake: () => void = () => undefined;
  #stopping = false;
  #lanes: Promise<unknown> | undefined;

  constructor(name: string, address: ClientOptions, done: () => void) {
    this.#name = name;
    this.#done = done;
    const returning: ClientOptions = { reconnectAttempts: Number.POSITIVE_INFINITY, reconnectDelay: 10 };
    this.client = new IPCClient('test', { ...address, ...returning, name });
    this.client.onError((error) => this.faults.push(`${error.code}: ${error.message}`));
  }

  /** Resolves when something has arrived. */
  hears(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async begin(): Promise<void> {
    await this.client.connect();
    await this.client.subscribe('news.*', ({ channelId, payload }) => {
      const { name, n } = payload as { readonly name: string; readonly n: number };
      const sender = `${name} on ${channelId}`;
      const last = this.#last.get(sender) ?? -1;
      if (n <= last) this.faults.push(`${sender}: ${n} came after ${last}`);
      this.#last.set(sender, n);
      this.#wake();
    });
    this.#lanes = Promise.all(Array.from({ length: LANES }, (_, lane) => this.#work(lane)));
  }

  /** Resolves when every request has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#lanes;
  }

  async #work(lane: number): Promise<void> {
    for (let n = 0; !this.#stopping; n += 1) {
      try {
        await this.#one(lane, n);
        this.#note('right');
      } catch (thrown) {
        if (!(thrown instanceof IPCError)) throw thrown;
        if (!DOCUMENTED.has(thrown.code)) this.faults.push(`${thrown.code}: ${thrown.message}`);
        this.#note(thrown.code);
      }
      this.#done();
    }
  }

  async #one(lane: number, n: number): Promise<void> {
    const { client } = this;
    const text = `${this.#name}.${lane}.${n}`;
    switch (lane) {
      case 0:
        assert.equal(await client.call('store', text, { timeout: 60_000 }), 'stored');
        this.acknowledged.push(text);
        return;
      case 1:
        await client.publishConfirmed('news.confirmed', { name: this.#name, n }, { timeout: 60_000 });
        return;
      case 2: {
        client.publish('news.plain', { name: this.#name, n });
        const bytes = Buffer.alloc(200_000, n);
        assert.ok(bytes.equals((await client.call('echo', bytes, { timeout: 60_000 })) as Buffer));
        return;
      }
      default:
        // Some give up before the answer can come.
        assert.equal(await client.call('slow', text, n % 3 === 0 ? { timeout: 1 } : { timeout: 60_000 }), text);
    }
  }

  #note(how: string): void {
    this.ended.set(how, (this.ended.get(how) ?? 0) + 1);
  }
}

for (const transport of TRANSPORTS) {
  test(`${transport}: the server is killed again and again under clients that come back (seed ${SEED})`, async (t) => {
    const random = randomOf(SEED);
    const server = new Restarted(t, transport);
    await server.start();
    let countdown = Number.POSITIVE_INFINITY;
    let strike: () => void = () => undefined;
    const done = (): void => {
      countdown -= 1;
      if (countdown <= 0) strike();
    };
    const all = Array.from({ length: CLIENTS }, (_, i) => new Busy(`client${i}`, server.address, done));
    t.after(() => Promise.all(all.map(({ client }) => client.disconnect())));
    for (const one of all) await one.begin();
    for (let kill = 0; kill < KILLS; kill += 1) {
      await new Promise<void>((resolve) => {
        strike = resolve;
        countdown = 1 + Math.floor(random() * DONE_BETWEEN_KILLS);
      });
      await server.actor?.kill();
      await server.start();
      // Back, with every subscription.
      await Promise.all(all.map((one) => one.hears()));
    }
    for (const one of all) await one.stop();
    const probe = all[0]?.client as IPCClient;
    assert.equal(await probe.publishConfirmed('news.last', { name: 'probe', n: 0 }), CLIENTS);

    const stored = readFileSync(server.journal, 'utf8').trimEnd().split('\n');
    assert.equal(new Set(stored).size, stored.length, 'something was stored twice');
    const kept = new Set(stored);
    for (const one of all) {
      assert.deepEqual(one.faults, []);
      for (const text of one.acknowledged) assert.ok(kept.has(text), `${text} was acknowledged and not done`);
      const { pending, queuedBytes, subscriptions } = one.client.getConnectionInfo();
      assert.deepEqual({ pending, queuedBytes, subscriptions }, { pending: 0, queuedBytes: 0, subscriptions: 1 });
      assert.ok((one.ended.get('right') ?? 0) > 0);
    }
    const lost = all.reduce((sum, one) => sum + (one.ended.get('NETWORK_LOST') ?? 0), 0);
    assert.ok(lost > 0, 'no kill hit a request: the test proves nothing');
    await Promise.all(all.map(({ client }) => client.disconnect()));
    await server.finish();
  });
}

/** A machine that stands still for a while may lose the connection once more: then it is asked again. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof IPCError) || thrown.code !== 'NETWORK_LOST') throw thrown;
    }
  }
}

test('a stopped server: its clients notice, requests end, and all are back when it goes on', {
  skip: process.platform === 'win32' ? 'signals stop no process here' : false,
}, async (t) => {
  const server = new Restarted(t, 'unix');
  const actor = await server.start();
  const heartbeatInterval = 300;
  const client = new IPCClient('test', {
    ...server.address,
    heartbeatInterval,
    connectionTimeout: 500,
    reconnectDelay: 1,
    reconnectAttempts: Number.POSITIVE_INFINITY,
  });
  t.after(() => client.disconnect());
  while (!client.connected) await client.connect().catch((error) => assert.equal((error as IPCError).code, 'TIME_OUT'));
  let heard: () => void = () => undefined;
  const hearing = new Promise<void>((resolve) => {
    heard = resolve;
  });
  await client.subscribe('news', () => heard());
  const attempts: IPCError[] = [];
  client.on('reconnecting', ({ cause }) => attempts.push(cause));
  const begun = performance.now();
  await actor.freeze();
  const ended = assert.rejects(client.call('never', 1, { timeout: 0 }), (error) => {
    assert.ok(error instanceof IPCError && error.code === 'NETWORK_LOST');
    assert.ok(error.cause instanceof IPCError && error.cause.code === 'PEER_SILENT');
    return true;
  });
  await assert.rejects(client.call('echo', 2, { timeout: 10 }), { code: /TIME_OUT|NETWORK_LOST/ });
  await ended;
  assert.ok(performance.now() - begun >= 2 * heartbeatInterval, 'given up before three heartbeats');
  // A stopped server takes connections, because the system does it for it, and says nothing on them.
  while (attempts.length < 3) await new Promise((resolve) => client.on('reconnecting', resolve));
  assert.deepEqual(
    attempts.slice(1).map(({ code }) => code),
    attempts.slice(1).map(() => 'TIME_OUT'),
  );
  const waiting = insist(() => client.call('echo', 'asked while away', { timeout: 0 }));
  actor.thaw();
  assert.equal(await waiting, 'asked while away');
  while ((await insist(() => client.publishConfirmed('news', 'again', { timeout: 0 }))) !== 1);
  await hearing;
  await client.disconnect();
  await server.finish();
});
