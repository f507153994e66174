// Two servers are told the same, and are asked the same: to one of them publishes come alike, so that those that
// stand one behind the other are dealt with at once; to the other each comes with a number in a field that PUBLISH
// does not use, so that each is dealt with by itself. Nobody may see a difference.

import assert from 'node:assert/strict';
import type { NetConnectOpts } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import type { IPCServer, ServerApplication, ServerMessage } from '../../src/server/index.ts';
import { CreditKind, ExtensionKey, FrameFlag, FrameType } from '../../src/protocol/frame-types.ts';
import type { Frame } from '../../src/protocol/codec.ts';
import type { OutboxPolicy } from '../../src/protocol/policies.ts';
import { type AtWork, atWork } from '../support/broker-at-work.ts';
import { declare, frame, hello, json, RawNative, request } from '../support/raw-native.ts';

const CLIENTS = 3;
const CHANNELS = ['a', 'b', 'admin'] as const;
/** The least that a server takes. */
const OUTBOX_BYTES_MAX = 64 * 1024;
const ADMIN = CHANNELS.indexOf('admin') + 1;

/** What a client says in a chunk. */
type Said =
  | { readonly say: 'publish'; readonly channel: number; readonly sizes: readonly number[]; readonly as: As }
  | {
      readonly say: 'subscribe';
      readonly filter: string;
      readonly policy: OutboxPolicy;
      readonly credit: number;
      readonly outbox: number;
    }
  | { readonly say: 'unsubscribe'; readonly which: number }
  | { readonly say: 'grant'; readonly which: number; readonly bytes: number }
  | { readonly say: 'admin'; readonly order: Order }
  | { readonly say: 'anew' }
  | { readonly say: 'goodbye' };
type As = 'plain' | 'kept' | 'confirmed' | 'extended' | 'otherContent' | 'reserved';
type Order = (typeof ORDERS)[number];

interface Step {
  readonly client: number;
  readonly said: readonly Said[];
}

const ORDERS = ['remove', 'handle', 'ignore', 'keep', 'forget'] as const;
const noNullPrototype = { noNullPrototype: true };

const saidArbitrary: fc.Arbitrary<Said> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record(
      {
        say: fc.constant('publish' as const),
        channel: fc.constantFrom(1, 1, 1, 2),
        sizes: fc.oneof(
          { weight: 6, arbitrary: fc.array(fc.nat(100), { minLength: 1, maxLength: 120 }) },
          { weight: 1, arbitrary: fc.array(fc.nat(9000), { minLength: 1, maxLength: 4 }) },
          { weight: 1, arbitrary: fc.constant([10, 10, 30_000, 10]) },
        ),
        as: fc.constantFrom<As>(
          'plain',
          'plain',
          'plain',
          'plain',
          'kept',
          'confirmed',
          'extended',
          'otherContent',
          'reserved',
        ),
      },
      noNullPrototype,
    ),
  },
  {
    weight: 5,
    arbitrary: fc.record(
      {
        say: fc.constant('subscribe' as const),
        filter: fc.constantFrom('a', 'a', 'b', '*', '>'),
        policy: fc.constantFrom<OutboxPolicy>(
          'block',
          'block',
          'block',
          'drop-oldest',
          'drop-newest',
          'latest-only',
          'disconnect',
        ),
        credit: fc.constantFrom(0, 1, 100, 1024, 5000, 50_000),
        outbox: fc.constantFrom(1024, 3000, 20_000, 1 << 20),
      },
      noNullPrototype,
    ),
  },
  { weight: 1, arbitrary: fc.record({ say: fc.constant('unsubscribe' as const), which: fc.nat(4) }, noNullPrototype) },
  {
    weight: 4,
    arbitrary: fc.record(
      { say: fc.constant('grant' as const), which: fc.nat(4), bytes: fc.constantFrom(1, 17, 100, 1024, 10_000) },
      noNullPrototype,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({ say: fc.constant('admin' as const), order: fc.constantFrom(...ORDERS) }, noNullPrototype),
  },
  { weight: 1, arbitrary: fc.constant({ say: 'anew' } as const) },
);
const stepArbitrary: fc.Arbitrary<Step> = fc.record(
  {
    client: fc.nat(CLIENTS - 1),
    said: fc.oneof(
      { weight: 30, arbitrary: fc.array(saidArbitrary, { minLength: 1, maxLength: 6 }) },
      {
        weight: 1,
        arbitrary: fc
          .array(saidArbitrary, { maxLength: 3 })
          .map((said) => [...said, { say: 'goodbye' } as const, ...said]),
      },
    ),
  },
  noNullPrototype,
);

/** One client, and what it has heard: for each subscription what was delivered and lost, and all else. */
class Peer {
  readonly raw: RawNative;
  readonly heard: Record<string, string[]> = {};
  readonly names = new Map<number, string>();
  readonly #subscriptions: number[] = [];
  readonly #alike: boolean;
  #ids = 0;
  #anew = 0;
  #published = 0;
  #fragile = false;
  gone = false;

  constructor(raw: RawNative, alike: boolean) {
    this.raw = raw;
    this.#alike = alike;
  }

  bytesOf(said: Said): Buffer {
    switch (said.say) {
      case 'publish':
        // Who may be shown out by its own publish is not asked how much of a chunk was heard before.
        return Buffer.concat(this.#fragile ? [] : said.sizes.map((size) => this.#publish(said, size)));
      case 'subscribe': {
        const id = this.#id();
        this.#subscriptions.push(id);
        this.#fragile ||= said.policy === 'disconnect';
        const { filter: pattern, policy, outbox: outboxBytesMax, credit: value } = said;
        return frame({ type: FrameType.SUBSCRIBE, id, value, payload: json({ pattern, policy, outboxBytesMax }) });
      }
      case 'unsubscribe':
        return frame({ type: FrameType.UNSUBSCRIBE, id: this.#id(), value: this.#subscriptions.at(said.which) ?? 99 });
      case 'grant': {
        const id = this.#subscriptions.at(said.which) ?? 99;
        return frame({ type: FrameType.CREDIT, id, content: CreditKind.SUBSCRIPTION, value: said.bytes });
      }
      case 'admin':
        return request(this.#id(), this.#number(ADMIN), said.order);
      case 'anew':
        this.#anew += 1;
        return Buffer.concat([frame({ type: FrameType.DECLARE }), this.declared()]);
      default:
        return frame({ type: FrameType.GOODBYE, value: 4000 });
    }
  }

  declared(): Buffer {
    return Buffer.concat(CHANNELS.map((name, index) => declare(this.#number(index + 1), name)));
  }

  /** What it tells of itself. Who was shown out is not asked how much of a chunk its other subscriptions heard before. */
  get told(): object {
    const { heard, gone } = this;
    return gone && this.#fragile ? { heard: heard['else'], gone } : { heard, gone };
  }

  /** Everything that was sent has been dealt with. */
  async settled(): Promise<void> {
    if (this.gone) return;
    const id = this.#id();
    this.raw.send(frame({ type: FrameType.PING, id }));
    for (;;) {
      const next = await this.raw.next(...Object.values(FrameType)).catch(() => undefined);
      if (next === undefined) this.gone = true;
      else this.#note(next);
      if (next === undefined || (next.type === FrameType.PONG && next.id === id)) return;
    }
  }

  #publish({ as, channel }: Said & { say: 'publish' }, size: number): Buffer {
    this.#published += 1;
    const payload = Buffer.alloc(size, this.#published);
    payload.write(`${this.#published}`);
    const bytes = frame({
      type: FrameType.PUBLISH,
      channel: this.#number(channel),
      content: as === 'otherContent' ? 2 : 1,
      id: as === 'confirmed' ? this.#id() : 0,
      flags: as === 'kept' ? FrameFlag.RETAIN : 0,
      value: this.#alike ? 0 : this.#published,
      extensions: as === 'extended' ? new Map([[ExtensionKey.TRACE_PARENT, Buffer.from('t')]]) : undefined,
      payload,
    });
    if (as === 'reserved') bytes[7] = 1;
    return bytes;
  }

  #note(one: Frame): void {
    const { type, flags, content, id, channel, value } = one;
    const note = (list: string, what: string): void => void (this.heard[list] ??= []).push(what);
    const text = Buffer.from(one.payload).toString('latin1');
    if (type === FrameType.DECLARE && channel === 0) this.names.clear();
    else if (type === FrameType.DECLARE) this.names.set(channel, text);
    else if (type === FrameType.DELIVERY)
      note(`subscription ${id}`, `${this.names.get(channel)} ${flags} ${content} ${text.length} ${text.slice(0, 5)}`);
    else if (type === FrameType.LOST) note(`subscription ${id}`, `lost ${value} ${text}`);
    else if (type !== FrameType.PONG && type !== FrameType.CREDIT) note('else', `${type} ${id} ${text}`);
  }

  #id(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** No number is given twice. */
  #number(channel: number): number {
    return channel + this.#anew * CHANNELS.length;
  }
}

/** An application of its own, and its clients. */
class World {
  readonly #server: IPCServer;
  readonly #app: ServerApplication;
  readonly #peers: Peer[] = [];
  readonly #handled: string[] = [];

  constructor(server: IPCServer, appId: string) {
    this.#server = server;
    this.#app = server.createApplication(appId);
    this.#app.createChannel('admin').setHandler('request', ({ payload }) => this.#admin(payload as Order));
  }

  static async make({ server, address }: AtWork, appId: string, alike: boolean): Promise<World> {
    const world = new World(server, appId);
    for (let i = 0; i < CLIENTS; i += 1) {
      const raw = await RawNative.open(address as NetConnectOpts, hello({ app: appId }));
      await raw.next(FrameType.WELCOME);
      const peer = new Peer(raw, alike);
      raw.send(peer.declared());
      await peer.settled();
      world.#peers.push(peer);
    }
    return world;
  }

  async take({ client, said }: Step): Promise<void> {
    const peer = this.#peers[client] as Peer;
    if (peer.gone) return;
    peer.raw.send(...said.map((one) => peer.bytesOf(one)));
    await peer.settled();
    for (const one of this.#peers) await one.settled();
  }

  close(): void {
    for (const { raw } of this.#peers) raw.close();
  }

  /** What anybody can know of it. */
  get seen(): object {
    return {
      peers: this.#peers.map(({ told }) => told),
      handled: this.#handled,
      waiting: this.#server.connectionManager
        .getConnectionsForApp(this.#app.appId)
        .map(({ outboxBytes }) => outboxBytes),
      messagesIn: this.#server.getStats().messagesIn,
    };
  }

  #admin(order: Order): string {
    const app = this.#app;
    const handler = ({ bytes }: ServerMessage): void => void this.#handled.push(Buffer.from(bytes).toString('latin1'));
    if (order === 'remove') app.removeChannel('a');
    else if (order === 'handle') app.createChannel('a').setHandler('publish', handler);
    else if (order === 'ignore') app.createChannel('a').setHandler('publish', undefined);
    else app.createChannel('a', { retain: order === 'keep' });
    return order;
  }
}

test('publishes that come alike do what they do when each of them differs from the others', async (t) => {
  const settings = { outboxBytesMax: OUTBOX_BYTES_MAX };
  const [one, other] = [await atWork(t, 'unix', settings), await atWork(t, 'unix', settings)];
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(stepArbitrary, { minLength: 3, maxLength: 16 }), async (steps) => {
      runs += 1;
      const [alike, apart] = [await World.make(one, `run${runs}`, true), await World.make(other, `run${runs}`, false)];
      try {
        for (const step of steps) {
          await Promise.all([alike.take(step), apart.take(step)]);
          assert.deepEqual(alike.seen, apart.seen);
        }
      } finally {
        alike.close();
        apart.close();
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
});
