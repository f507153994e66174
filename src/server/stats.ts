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
  /** Whether it listens. */
  readonly running: boolean;
  /** Host of the TCP address. */
  readonly host: string;
  /** TCP port that it listens on; the option where it does not. */
  readonly port: number;
  /** Every address, for people. */
  readonly listening: readonly string[];
  /** Applications that there are. */
  readonly totalApplications: number;
  /** Clients that are connected. */
  readonly totalConnections: number;
  /** Clients that may be connected at a time. */
  readonly maxConnections: number;
  /** Streams that have not finished the handshake. */
  readonly pendingConnections: number;
  /** Clients that were refused since it was made. */
  readonly connectionsRefused: number;
  /** Clients that came in since it was made. */
  readonly connectionsSinceStart: number;
  /** Messages that came from clients. */
  readonly messagesIn: number;
  /** Messages that went to clients. */
  readonly messagesOut: number;
  /** Bytes that came from clients. */
  readonly bytesIn: number;
  /** Bytes that went to clients. */
  readonly bytesOut: number;
  /** Requests that are not answered yet. */
  readonly requestsOpen: number;
  /** Faults, and requests that ended with an error. */
  readonly errors: number;
  /** How often a subscriber's outbox was full and held publishers up, or was dropped from. */
  readonly slowConsumers: number;
  /** Milliseconds since it began to listen; 0 where it does not. */
  readonly uptimeMs: number;
}
