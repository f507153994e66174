// Publishers and subscribers that are behind, without connections: who is held up, and for how long.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import type { Flow } from './flow.ts';
import { Hub } from './hub.ts';
import type { Peer, ServerApplication, Subscriber } from './model.ts';
import { serverSettings } from './options.ts';
import type { Publication } from './publication.ts';

/** A subscriber that is behind from its first message until it is told otherwise. */
class Behind implements Subscriber {
  readonly filter: string;
  readonly policy = 'block';
  readonly dropped = 0;
  readonly waitingBytes = 0;
  readonly waiting = true;
  readonly connection = { removeSubscriber: () => undefined } as unknown as Peer;
  readonly taken: Publication[] = [];
  readonly flows = new Set<Flow>();

  constructor(filter: string) {
    this.filter = filter;
  }

  offer(publication: Publication): boolean {
    this.taken.push(publication);
    return true;
  }

  offerRetained(): void {}

  holdUp(flow: Flow): void {
    this.flows.add(flow);
    flow.block(this);
  }

  flush(): void {
    for (const flow of [...this.flows]) {
      this.flows.delete(flow);
      flow.unblock(this);
    }
  }

  end(): void {
    this.flush();
  }

  tellEnded(): void {}
}

function atWork(): { hub: Hub; app: ServerApplication; subscribe(filter: string): Behind } {
  const hub = new Hub(serverSettings({ port: 0 }), {
    clock: () => 0,
    keepTime: () => undefined,
    gone: () => undefined,
    report: (error) => assert.ifError(error),
  });
  const app = hub.context.applications.createApplication('test');
  return {
    hub,
    app,
    subscribe(filter) {
      const subscriber = new Behind(filter);
      app.subscribe(filter, subscriber, 0);
      return subscriber;
    },
  };
}

test('publishers of a channel are held up from the first subscriber behind to the last', async () => {
  const { hub, app, subscribe } = atWork();
  const [one, two] = [subscribe('news'), subscribe('news')];
  const channel = app.createChannel('news');
  const published = channel.publish(1);
  assert.deepEqual({ receivers: published.receivers, blocked: published.blocked }, { receivers: 2, blocked: true });
  one.flush();
  assert.equal(hub.publishing.channelsHeldUp, 1);
  assert.throws(
    () => channel.publish(2),
    (error) => error instanceof IPCError && error.code === 'LIMIT_OUTBOX',
  );
  two.flush();
  await published.ready();
  assert.equal(hub.publishing.channelsHeldUp, 0);
});

test('ready() of an older publish waits while a newer one is held up', async () => {
  const { app, subscribe } = atWork();
  const subscriber = subscribe('news');
  const channel = app.createChannel('news');
  const first = channel.publish(1);
  subscriber.flush();
  channel.publish(2);
  const order: string[] = [];
  const waiting = first.ready().then(() => order.push('ready'));
  await Promise.resolve();
  order.push('caught up');
  subscriber.flush();
  await waiting;
  assert.deepEqual(order, ['caught up', 'ready']);
});

test('a channel that is removed leaves nothing behind once nobody is behind on it', () => {
  const { hub, app, subscribe } = atWork();
  const wild = subscribe('news.*');
  for (let i = 0; i < 100; i += 1) {
    subscribe(`news.${i}`);
    app.createChannel(`news.${i}`).publish(i);
    app.removeChannel(`news.${i}`);
  }
  // Direct subscriptions ended with their channels; the wildcard one is still behind on every one of them.
  assert.equal(hub.publishing.channelsHeldUp, 100);
  wild.flush();
  assert.equal(hub.publishing.channelsHeldUp, 0);
});

test('a publish to a channel object that was removed goes to the living channel of its name', () => {
  const { hub, app, subscribe } = atWork();
  const removed = app.createChannel('news');
  app.removeChannel('news');
  const living = app.createChannel('news');
  const subscriber = subscribe('news');
  const published = removed.publish(1);
  assert.deepEqual({ receivers: published.receivers, blocked: published.blocked }, { receivers: 1, blocked: true });
  assert.equal(subscriber.taken[0]?.topic.number, living.number);
  assert.throws(
    () => living.publish(2),
    (error) => error instanceof IPCError && error.code === 'LIMIT_OUTBOX',
  );
  assert.equal(hub.publishing.channelsHeldUp, 1);
  subscriber.end();
  assert.equal(hub.publishing.channelsHeldUp, 0);
});
