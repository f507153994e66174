// One suite for every kind of wire: what the connection above relies on, whatever moves the bytes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { memoryWirePair } from '../../src/transports/memory-wire.ts';
import { StreamWire } from '../../src/transports/stream-wire.ts';
import { WebSocketWire } from '../../src/transports/websocket-wire.ts';
import type { Wire } from '../../src/transports/wire.ts';
import { deferred } from '../support/broker-at-work.ts';

type Pair = (t: TestContext) => Promise<[Wire, Wire]>;

async function streamPair(t: TestContext, address: string | { port: number; host: string }, transport: 'tcp' | 'unix') {
  const server: Server = createServer();
  server.listen(address);
  await once(server, 'listening');
  t.after(() => server.close());
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const bound = server.address();
  const target =
    typeof bound === 'string' || bound === null ? { path: String(bound) } : { port: bound.port, host: bound.address };
  const near = connect(target);
  await once(near, 'connect');
  const [far] = await accepted;
  return [new StreamWire(near, { transport }), new StreamWire(far, { transport })] satisfies [Wire, Wire];
}

const PAIRS: Readonly<Record<string, Pair>> = {
  memory: async () => memoryWirePair(),
  tcp: (t) => streamPair(t, { port: 0, host: '127.0.0.1' }, 'tcp'),
  unix: (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-'));
    t.after(() => rmSync(folder, { recursive: true }));
    return streamPair(t, join(folder, 's'), 'unix');
  },
  websocket: async (t) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(server, 'listening');
    t.after(() => server.close());
    const accepted = once(server, 'connection') as Promise<[WebSocket]>;
    const { port } = server.address() as { port: number };
    const near = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
    await once(near, 'open');
    const [far] = await accepted;
    return [new WebSocketWire(near, { transport: 'websocket' }), new WebSocketWire(far, { transport: 'websocket' })];
  },
};

/** Opens a wire that only collects. */
class Collector {
  readonly #chunks: Uint8Array[] = [];
  readonly #closed = deferred<Error | undefined>();
  #waiting: { readonly length: number; readonly resolve: () => void } | undefined;

  constructor(wire: Wire) {
    wire.open({
      data: (chunk) => {
        this.#chunks.push(chunk);
        if (this.#waiting !== undefined && this.bytes.length >= this.#waiting.length) this.#waiting.resolve();
      },
      drain: () => undefined,
      close: (error) => this.#closed.resolve(error),
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  async until(length: number): Promise<Buffer> {
    if (this.bytes.length < length) {
      await new Promise<void>((resolve) => {
        this.#waiting = { length, resolve };
      });
    }
    return this.bytes;
  }
}

const nothing = { data: () => undefined, drain: () => undefined, close: () => undefined };

for (const [name, pair] of Object.entries(PAIRS)) {
  test(`${name}: parts arrive in order, joined, and each write is reported done once`, async (t) => {
    const [near, far] = await pair(t);
    near.open(nothing);
    const got = new Collector(far);
    let done = 0;
    const expected: Buffer[] = [];
    for (let i = 0; i < 200; i += 1) {
      const parts = [Buffer.from([i]), Buffer.alloc(i * 10, i), Buffer.from('end')];
      expected.push(...parts);
      near.write(parts, () => (done += 1));
    }
    const whole = Buffer.concat(expected);
    assert.ok((await got.until(whole.length)).equals(whole));
    near.end();
    await got.closed;
    assert.equal(done, 200);
  });

  test(`${name}: what was written before end arrives, then both sides close once`, async (t) => {
    const [near, far] = await pair(t);
    const nearSide = new Collector(near);
    const farSide = new Collector(far);
    const bytes = Buffer.alloc(3 << 20, 'x');
    near.write([bytes], () => undefined);
    near.end();
    await Promise.all([nearSide.closed, farSide.closed]);
    assert.equal(farSide.bytes.length, bytes.length);
  });

  test(`${name}: a reader that pauses makes the writer full, and drain comes when it reads again`, async (t) => {
    const [near, far] = await pair(t);
    const drained = deferred();
    near.open({ ...nothing, drain: () => drained.resolve() });
    const got = new Collector(far);
    far.pause();
    const block = Buffer.alloc(64 * 1024);
    let written = 0;
    // The kernel takes some, the wire some; both have an end.
    for (let room = true; room; written += block.length) {
      assert.ok(written < 64 << 20, 'the writer was never told that it is full');
      room = near.write([block], () => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(near.bufferedBytes > 0);
    far.resume();
    await drained.promise;
    await got.until(written);
    near.destroy();
    await got.closed;
  });

  test(`${name}: what arrives before open is not lost`, async (t) => {
    const [near, far] = await pair(t);
    near.open(nothing);
    await new Promise<void>((resolve) => {
      near.write([Buffer.from('early')], resolve);
      // A wire in memory is done only when the other side has opened.
      if (name === 'memory') resolve();
    });
    const got = new Collector(far);
    assert.equal((await got.until(5)).toString(), 'early');
    near.destroy();
    await got.closed;
  });

  test(`${name}: writing after the end is done at once and harms nothing`, async (t) => {
    const [near, far] = await pair(t);
    const nearSide = new Collector(near);
    const farSide = new Collector(far);
    near.destroy();
    await Promise.all([nearSide.closed, farSide.closed]);
    const done = deferred();
    near.write([Buffer.from('late')], () => done.resolve());
    await done.promise;
    near.end();
    near.destroy();
  });
}
