// A process that plays one part, until it is told to finish or killed: actors.ts starts it.

import type { ActorOrder, Stage } from './orders.ts';
import { runCaller, runPublisher, runSubscriber, runWorker } from './client-roles.ts';
import { runHeap } from './heap-role.ts';
import { runServer } from './server-role.ts';

const heard = new Set<string>();
const waiting = new Map<string, () => void>();
process.on('message', (word: string) => {
  heard.add(word);
  waiting.get(word)?.();
});
// Whoever gave the order is gone: nobody would end this process.
const abandoned = (): never => process.exit(1);
process.once('disconnect', abandoned);

const stage: Stage = {
  say: (event) => {
    if (process.connected) process.send?.(event);
  },
  told: (word) => (heard.has(word) ? Promise.resolve() : new Promise((resolve) => waiting.set(word, resolve))),
};

function play(order: ActorOrder): Promise<void> {
  switch (order.role) {
    case 'publisher':
      return runPublisher(order, stage);
    case 'subscriber':
      return runSubscriber(order, stage);
    case 'caller':
      return runCaller(order, stage);
    case 'worker':
      return runWorker(order, stage);
    case 'server':
      return runServer(order, stage);
    case 'heap':
      return runHeap(order, stage);
  }
}

try {
  await play(JSON.parse(process.env['CHAOS_ORDER'] ?? '') as ActorOrder);
  stage.say({ finished: true });
} catch (thrown) {
  stage.say({ fault: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  process.exitCode = 1;
}
process.off('disconnect', abandoned);
// From here on nothing may keep the process alive: a timer or a socket that was left would.
if (process.connected) process.disconnect();
