// A server that gets killed, stopped and started again.

import { appendFileSync } from 'node:fs';
import { once } from 'node:events';
import { IPCServer } from '../../src/server/index.ts';
import { leftovers } from './leftovers.ts';
import type { ActorOrder, Stage } from './orders.ts';

export async function runServer(order: Extract<ActorOrder, { readonly role: 'server' }>, stage: Stage): Promise<void> {
  const server = new IPCServer(order.server);
  const app = server.createApplication('test');
  app.createChannel('echo').setHandler('request', ({ payload }) => payload);
  app.createChannel('slow').setHandler('request', async ({ payload }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return payload;
  });
  app.createChannel('never').setHandler('request', () => new Promise(() => undefined));
  app.createChannel('store').setHandler('request', ({ payload }) => {
    appendFileSync(order.journal, `${String(payload)}\n`);
    return 'stored';
  });
  server.on('fault', (error) => stage.say({ fault: `${error.name}: ${error.message}` }));
  stage.say({ standing: true });
  await stage.told('listen');
  await server.start();
  stage.say({ ready: true, port: server.port });
  await stage.told('finish');
  while (server.getStats().totalConnections > 0) await once(server, 'disconnection');
  stage.say({ leftovers: leftovers(server) });
  await server.stop();
}
