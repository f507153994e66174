// Plain counters: incremented on the hot path, read by `getStats`.

export class ServerStats {
  messagesIn = 0;
  messagesOut = 0;
  /** Of connections that have gone; those that are open are asked when somebody looks. */
  bytesInBefore = 0;
  bytesOutBefore = 0;
  requestsOpen = 0;
  errors = 0;
  /** How often a subscriber's outbox was full and held publishers up, or was dropped from. */
  slowConsumers = 0;
  connectionsRefused = 0;
  connectionsTotal = 0;
}

/** What `getStats()` gives. Times are milliseconds. */
export interface StatsSnapshot {
  readonly running: boolean;
  readonly host: string;
  readonly port: number;
  /** Every address, for people. */
  readonly listening: readonly string[];
  readonly totalApplications: number;
  readonly totalConnections: number;
  readonly maxConnections: number;
  /** Streams that have not finished the handshake. */
  readonly pendingConnections: number;
  readonly connectionsRefused: number;
  readonly connectionsSinceStart: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly requestsOpen: number;
  readonly errors: number;
  readonly slowConsumers: number;
  readonly uptimeMs: number;
}
