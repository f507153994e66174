// Small payloads are views into the chunk they came in, which holds other people's messages too. Whoever gives
// such memory away to another thread must not take anything from them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atWork, Collected, TRANSPORTS } from '../support/broker-at-work.ts';

/** Hands the memory of the payload on, as one does to a worker thread. Node 20 copies; later versions refuse. */
function giveAway(payload: unknown): void {
  try {
    structuredClone(payload, { transfer: [(payload as Uint8Array).buffer as ArrayBuffer] });
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError');
  }
}

const COUNT = 50;
const payloadOf = (place: number): Buffer => Buffer.alloc(24, place);

for (const transport of TRANSPORTS) {
  test(`${transport}: a handler that gives its payload's memory away takes no message from others`, async (t) => {
    const { app, client } = await atWork(t, transport);
    app.createChannel('a').setHandler('publish', ({ payload }) => giveAway(payload));
    const publisher = await client();
    const subscriber = await client();
    const seen = new Collected<string>();
    await subscriber.subscribe('a', ({ payload }) => {
      seen.add(Buffer.from(payload as Uint8Array).toString('hex'));
      giveAway(payload);
    });
    const sent = Array.from({ length: COUNT }, (_, place) => payloadOf(place));
    for (const payload of sent) publisher.publish('a', payload);
    assert.deepEqual(
      await seen.until(COUNT),
      sent.map((payload) => payload.toString('hex')),
    );
  });
}
