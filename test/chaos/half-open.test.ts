// A peer that vanishes without a word: the way between client and server goes on to take what is written and
// delivers nothing, in one direction or in both. The heartbeats of both ends find it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { IPCClient, IPCError } from '../../src/client/index.ts';
import { atWork, Collected, withCode } from '../support/broker-at-work.ts';

type Direction = 'to-server' | 'to-client';

/** Stands between a client and a server, and can swallow what they say. */
class Relay {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #lanes: Record<Direction, boolean>[] = [];

  constructor(t: TestContext, target: number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#join(socket));
    t.after(async () => {
      for (const socket of this.#sockets) socket.destroy();
      this.#server.close();
      await once(this.#server, 'close');
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on the connections that are open lose everything that goes this way, their ends included. */
  swallow(directions: readonly Direction[]): void {
    for (const lane of this.#lanes) for (const direction of directions) lane[direction] = false;
    this.#lanes = [];
  }

  #join(client: Socket): void {
    const server = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    const lane: Record<Direction, boolean> = { 'to-server': true, 'to-client': true };
    this.#lanes.push(lane);
    this.#pass(client, server, lane, 'to-server');
    this.#pass(server, client, lane, 'to-client');
  }

  #pass(from: Socket, to: Socket, lane: Readonly<Record<Direction, boolean>>, direction: Direction): void {
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => lane[direction] && to.write(chunk));
    from.on('end', () => lane[direction] && to.end());
    from.on('error', () => lane[direction] && to.destroy());
    from.on('close', () => this.#sockets.delete(from));
  }
}

const WAYS: Readonly<Record<string, readonly Direction[]>> = {
  'in both directions': ['to-server', 'to-client'],
  'towards the client': ['to-client'],
  'towards the server': ['to-server'],
};

for (const scheme of ['tcp', 'ws']) {
  for (const [title, directions] of Object.entries(WAYS)) {
    test(`${scheme}: a way that swallows everything ${title} is found by the heartbeats, and the client comes back`, async (t) => {
      const work = await atWork(t, 'tcp', { host: '127.0.0.1', heartbeatIntervalMs: 200 });
      const relay = new Relay(t, work.server.port);
      const client = new IPCClient('test', {
        url: `${scheme}://127.0.0.1:${await relay.listen()}`,
        name: 'far',
        will: { channel: 'wills', payload: 'far' },
        heartbeatInterval: 200,
        reconnectDelay: 1,
        reconnectAttempts: Number.POSITIVE_INFINITY,
      });
      t.after(() => client.disconnect());
      work.app.createChannel('never').setHandler('request', () => new Promise(() => undefined));
      const near = await work.client({ host: '127.0.0.1', name: 'near' });
      const news = new Collected<string>();
      await near.subscribe('$presence', ({ payload }) => {
        const { event, name } = payload as { readonly event: string; readonly name: string };
        if (name === 'far') news.add(event);
      });
      const wills = new Collected<unknown>();
      await near.subscribe('wills', ({ payload }) => wills.add(payload));
      await client.connect();
      const heard = new Collected<unknown>();
      await client.subscribe('feed', ({ payload }) => heard.add(payload));
      let taken: () => void = () => undefined;
      const begun = new Promise<void>((resolve) => {
        taken = resolve;
      });
      await client.serve('work', () => {
        taken();
        return new Promise(() => undefined);
      });
      const given = assert.rejects(near.call('work', 1, { timeout: 0 }), withCode('REMOTE_LOST'));
      await begun;
      const reasons: IPCError[] = [];
      client.onDisconnected((error) => reasons.push(error));
      const back = new Promise((resolve) => client.onConnected(resolve));

      relay.swallow(directions);
      await assert.rejects(client.call('never', 1, { timeout: 0 }), (error) => {
        assert.ok(error instanceof IPCError && error.code === 'NETWORK_LOST', String(error));
        assert.ok(error.cause instanceof IPCError && error.cause.code === 'PEER_SILENT', String(error.cause));
        return true;
      });
      await given;
      await back;
      // What restores its subscriptions was sent before this, and so it arrives before.
      await client.ping(0);
      assert.deepEqual(
        reasons.map(({ code }) => code),
        ['PEER_SILENT'],
      );
      assert.deepEqual([...(await news.until(3))].sort(), ['join', 'join', 'leave']);
      assert.deepEqual(await wills.until(1), ['far']);
      assert.equal(await near.publishConfirmed('feed', 'again'), 1);
      assert.deepEqual(await heard.until(1), ['again']);
    });
  }
}
