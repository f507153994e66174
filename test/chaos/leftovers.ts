// What a server holds for clients: nothing of it may be left when they have gone, however they went.

import type { IPCServer } from '../../src/server/index.ts';

/** Counts of everything that a client can make a server hold, for the application `test`. */
export function leftovers(server: IPCServer): Readonly<Record<string, number>> {
  const { totalConnections, requestsOpen } = server.getStats();
  const application = server.getApplication('test');
  let receivers = 0;
  let workers = 0;
  let inFlight = 0;
  for (const name of Object.keys(application?.listChannels() ?? {})) {
    const channel = application?.getChannel(name);
    receivers += channel?.receivers.length ?? 0;
    workers += channel?.workers.size ?? 0;
    inFlight += channel?.workers.inFlight ?? 0;
  }
  return {
    connections: totalConnections,
    listed: server.connectionManager.getConnectionCount(),
    requestsOpen,
    members: application?.presence.size ?? 0,
    subscriptions: application?.subscriptionCount ?? 0,
    receivers,
    workers,
    inFlight,
  };
}

export const NOTHING: ReturnType<typeof leftovers> = {
  connections: 0,
  listed: 0,
  requestsOpen: 0,
  members: 0,
  subscriptions: 0,
  receivers: 0,
  workers: 0,
  inFlight: 0,
};
