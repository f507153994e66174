// The broker against a model so simple that it can be believed: a list of subscriptions, walked at every
// publish with a regular expression. Random histories of joining, subscribing, leaving, removing,
// publishing and sweeping must look the same in both.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  connection,
  type TestConnection,
  type TestSubscriber,
  type TestTypes,
  testBroker,
} from '../../test/support/broker-fixture.ts';
import type { Application } from './application.ts';
import type { Channel, RemovedChannel } from './channel.ts';
import type { PresenceEvent } from './presence.ts';
import { publish } from './router.ts';

interface Subscription {
  readonly entry: TestSubscriber;
  readonly filter: string;
}

const CONNECTIONS = 4;
const CHANNELS = ['a', 'a.b', 'a.c', 'b', 'a.b.c', '$a.b'];
const FILTERS = [...CHANNELS, '*', 'a.*', 'a.>', '>', '*.b', '*.*.c'];

function hears(filter: string, channel: string): boolean {
  if (!/[*>]/.test(filter)) return filter === channel;
  const source = filter.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replaceAll('>', '.+');
  return !channel.startsWith('$') && new RegExp(`^${source}$`).test(channel);
}

class Model {
  readonly inside = new Set<TestConnection>();
  readonly wills = new Map<TestConnection, string>();
  readonly retained = new Map<string, string>();
  subscriptions: Subscription[] = [];

  membersOf(channelId: string): Set<string> {
    const here = this.subscriptions.filter(({ filter }) => filter === channelId);
    return new Set(here.map(({ entry }) => entry.connection.id));
  }

  receiversOf(channelId: string): Set<TestSubscriber> {
    return new Set(this.subscriptions.filter(({ filter }) => hears(filter, channelId)).map(({ entry }) => entry));
  }

  drop(gone: (subscription: Subscription) => boolean): TestSubscriber[] {
    const dropped = this.subscriptions.filter(gone);
    this.subscriptions = this.subscriptions.filter((each) => !gone(each));
    return dropped.map(({ entry }) => entry);
  }
}

/** One run: the broker, the model beside it, and who is where according to the events alone. */
class Run {
  readonly model = new Model();
  readonly connections = Array.from({ length: CONNECTIONS }, (_, index) => connection(`c${index}`));
  readonly application: Application<TestTypes>;
  readonly #removals: RemovedChannel<TestTypes>[];
  /** Channel objects as a connection would keep them, perhaps for too long. */
  readonly #known = new Map<string, Channel<TestTypes>>();
  readonly #toldPresent = new Set<string>();
  #now = 1000;
  #serial = 0;

  constructor() {
    const { application, outlet } = testBroker({ application: { idleChannelsMax: 2, channelsMax: 100 } });
    this.application = application;
    this.#removals = outlet.removed;
  }

  join(who: number): void {
    const joining = this.#connection(who);
    const identity = { connectionId: joining.id, name: undefined, identity: undefined };
    const event = this.application.join(joining, identity, this.#tick());
    assert.equal(event !== undefined, !this.model.inside.has(joining));
    this.model.inside.add(joining);
    this.#hear(event === undefined ? [] : [event]);
  }

  subscribe(who: number, filter: string): void {
    const of = this.#connection(who);
    if (!this.model.inside.has(of)) return;
    const entry = { connection: of, id: `s${this.#serial}` };
    const done = this.application.subscribe(filter, entry, this.#tick());
    const due = [...this.model.retained].filter(([channel]) => hears(filter, channel));
    assert.deepEqual(new Map(done.retained.map(({ channel, message }) => [channel.channelId, message])), new Map(due));
    this.model.subscriptions.push({ entry, filter });
    this.#hear(done.presence === undefined ? [] : [done.presence]);
  }

  unsubscribe(which: number): void {
    const { subscriptions } = this.model;
    const picked = subscriptions[which % Math.max(1, subscriptions.length)];
    if (picked === undefined) return;
    const done = this.application.unsubscribe(picked.entry, this.#tick());
    assert.equal(done.removed, true);
    assert.equal(this.application.unsubscribe(picked.entry, this.#now).removed, false);
    this.model.drop(({ entry }) => entry === picked.entry);
    this.#hear(done.presence === undefined ? [] : [done.presence]);
  }

  will(who: number, message: string): void {
    const of = this.#connection(who);
    const set = this.application.presence.setWill(of, { channelId: 'a', message });
    assert.equal(set, this.model.inside.has(of));
    if (set) this.model.wills.set(of, message);
  }

  leave(who: number, goodbye: boolean): void {
    const leaving = this.#connection(who);
    const departure = this.application.leave(leaving, goodbye, this.#tick());
    assert.equal(departure.will?.message, goodbye ? undefined : this.model.wills.get(leaving));
    const ended = this.model.drop(({ entry }) => entry.connection === leaving);
    assert.deepEqual(new Set(departure.subscribers), new Set(ended));
    this.model.inside.delete(leaving);
    this.model.wills.delete(leaving);
    this.#hear(departure.presence);
  }

  publish(channelId: string, retain: boolean): void {
    const channel = this.#known.get(channelId) ?? this.application.channelFor(channelId, this.#tick());
    const message = `m${this.#serial}`;
    const delivery = publish(this.application, channel, message, this.#tick(), retain);
    this.#known.set(channelId, channel);
    if (retain) this.model.retained.set(channelId, message);
    const expected = this.model.receiversOf(channelId);
    assert.equal(delivery.receivers.length, expected.size, `receivers of ${channelId}`);
    assert.deepEqual(new Set(delivery.receivers), expected, `receivers of ${channelId}`);
  }

  removeChannel(channelId: string): void {
    if (!this.application.removeChannel(channelId)) {
      assert.equal(this.model.membersOf(channelId).size, 0);
      return;
    }
    const told = this.#removals.at(-1);
    const ended = this.model.drop(({ filter }) => filter === channelId);
    assert.deepEqual(new Set(told?.subscribers), new Set(ended));
    this.model.retained.delete(channelId);
    this.#hear(told?.presence ?? []);
  }

  sweep(): void {
    this.application.sweep();
  }

  /** What must hold after every step. */
  check(): void {
    const { application, model } = this;
    assert.equal(application.subscriptionCount, model.subscriptions.length);
    assert.deepEqual(new Set(application.presence.connections()), model.inside);
    const listed = application.listChannels();
    for (const channelId of CHANNELS) {
      const members = application.presence.members(channelId).map((member) => member.connectionId);
      assert.equal(members.length, model.membersOf(channelId).size);
      assert.deepEqual(new Set(members), model.membersOf(channelId));
      const direct = model.subscriptions.filter(({ filter }) => filter === channelId).length;
      assert.equal(listed[channelId]?.subscribers ?? 0, direct);
      for (const id of members) assert.ok(this.#toldPresent.has(`${channelId} ${id}`));
    }
    const places = CHANNELS.reduce((count, channelId) => count + model.membersOf(channelId).size, 0);
    assert.equal(this.#toldPresent.size, places + model.inside.size, 'events tell the same as the lists');
    assert.deepEqual(
      new Set(application.retained.matching('>').map(({ message }) => message)),
      this.#retainedInReach(),
    );
    const wanted = new Set([...model.subscriptions.map(({ filter }) => filter), ...model.retained.keys()]);
    const kept = Object.keys(listed).filter((channelId) => !wanted.has(channelId));
    assert.ok(kept.length <= 2, `idle: ${kept.join(' ')}`);
  }

  /** Everybody goes: nothing may be left. */
  end(): void {
    for (let who = 0; who < CONNECTIONS; who += 1) this.leave(who, false);
    for (const channelId of CHANNELS) this.application.clearRetained(channelId);
    this.application.sweep();
    this.application.sweep();
    assert.equal(this.application.channelCount, 0);
    assert.equal(this.application.subscriptionCount, 0);
    assert.equal(this.application.retained.bytes, 0);
    assert.equal(this.#toldPresent.size, 0);
  }

  #retainedInReach(): Set<string> {
    return new Set(
      [...this.model.retained].filter(([channelId]) => hears('>', channelId)).map(([, message]) => message),
    );
  }

  #hear(events: readonly PresenceEvent<TestConnection>[]): void {
    for (const { kind, channelId, member } of events) {
      const place = `${channelId ?? ''} ${member.connectionId}`;
      if (kind === 'join') {
        assert.equal(this.#toldPresent.has(place), false, `joined twice: ${place}`);
        this.#toldPresent.add(place);
      } else assert.equal(this.#toldPresent.delete(place), true, `left without having joined: ${place}`);
    }
  }

  #connection(who: number): TestConnection {
    return this.connections[who] as TestConnection;
  }

  #tick(): number {
    this.#serial += 1;
    this.#now += 1;
    return this.#now;
  }
}

type Step = (run: Run) => void;

const who = fc.nat(CONNECTIONS - 1);
const named = fc.constantFrom(...CHANNELS);
/** The picture of a step is what a failing run prints. */
const show = (text: string, step: Step): Step => Object.assign(step, { [fc.toStringMethod]: () => text });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: who.map((n) => show(`join ${n}`, (run) => run.join(n))) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(who, fc.constantFrom(...FILTERS))
      .map(([n, filter]) => show(`subscribe ${n} ${filter}`, (run) => run.subscribe(n, filter))),
  },
  { weight: 3, arbitrary: fc.nat(50).map((n) => show(`unsubscribe ${n}`, (run) => run.unsubscribe(n))) },
  {
    weight: 1,
    arbitrary: fc.tuple(who, fc.boolean()).map(([n, bye]) => show(`leave ${n} ${bye}`, (run) => run.leave(n, bye))),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        named,
        fc.nat(4).map((n) => n === 0),
      )
      .map(([name, retain]) => show(`publish ${name} ${retain}`, (run) => run.publish(name, retain))),
  },
  { weight: 1, arbitrary: who.map((n) => show(`will ${n}`, (run) => run.will(n, `will of ${n}`))) },
  { weight: 1, arbitrary: named.map((name) => show(`remove ${name}`, (run) => run.removeChannel(name))) },
  { weight: 1, arbitrary: fc.constant(show('sweep', (run) => run.sweep())) },
);

test('every history of joining, subscribing, publishing and leaving looks as in the model, and ends with nothing left', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const run = new Run();
      for (const each of steps) {
        each(run);
        run.check();
      }
      run.end();
    }),
    { numRuns: 300 },
  );
});
