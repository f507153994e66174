// The application `demo` of a server that is run by hand: something to call at once.

import { setTimeout as wait } from 'node:timers/promises';
import type { IPCServer } from '../server/index.ts';

export const DEMO_APPLICATION = 'demo';
const COUNT_MAX = 1000;
const COUNT_INTERVAL_MS = 200;

/** Adds the channels `echo`, `time` and `countdown`. */
export function addDemo(server: IPCServer): void {
  const demo = server.createApplication(DEMO_APPLICATION, 'Demonstration');
  demo.createChannel('echo').setHandler('request', (message) => message.payload);
  demo.createChannel('time').setHandler('request', () => new Date().toISOString());
  demo
    .createChannel('countdown')
    .setHandler('request', (message) => countdown(Number(message.payload), message.signal));
}

/** A streamed response: one number at a time, until the caller has gone. */
async function* countdown(from: number, signal: AbortSignal): AsyncGenerator<number> {
  if (!Number.isInteger(from) || from < 1 || from > COUNT_MAX) {
    throw new RangeError(`countdown takes an integer from 1 to ${COUNT_MAX}`);
  }
  for (let left = from; left > 0; left -= 1) {
    yield left;
    if (left > 1) await wait(COUNT_INTERVAL_MS, undefined, { signal });
  }
}
