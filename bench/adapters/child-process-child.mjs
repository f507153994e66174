// @ts-check
// The other end of the channel that child-process.mjs measures: echoes requests, or counts messages and tells how
// many there were when it is sent a number.

import { performance } from 'node:perf_hooks';
import { Counter } from '../payload.mjs';

const [work, kind, size] = process.argv.slice(2);
const counter = new Counter(kind === 'text' ? 'text' : 'bytes', Number(size), 0, () => undefined);

process.on('message', (/** @type {import('./adapter.mjs').Payload | number} */ message) => {
  if (work === 'request') process.send?.(message);
  else if (typeof message !== 'number') counter.receive(message, 0, message.length);
  else process.send?.({ received: counter.received, corrupt: counter.corrupt, atMs: performance.now() });
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
