// What moves bytes. A wire knows no frames; one implementation for each kind of transport, and all pass
// the same conformance suite.

/** Who is at the other end, as far as the transport knows. */
export interface PeerAddress {
  readonly transport: 'tcp' | 'tls' | 'unix' | 'websocket' | 'memory';
  /** Remote host or address, where there is one. */
  readonly host?: string;
  readonly port?: number;
  /** Distinguished name of a verified client certificate. */
  readonly certificateSubject?: string;
  /** `Origin` of a WebSocket from a browser. */
  readonly origin?: string;
}

export interface WireEvents {
  /** Bytes arrived. The chunk belongs to the receiver, who may write into it: the wire never reuses it. */
  data(chunk: Uint8Array): void;
  /** What was buffered has gone out: more may be written. */
  drain(): void;
  /** The wire is gone; called exactly once, last. */
  close(error: Error | undefined): void;
}

export interface Wire {
  readonly peer: PeerAddress;
  /** Bytes accepted from us that the system has not taken yet. */
  readonly bufferedBytes: number;
  /** Begins to deliver events. Called exactly once; what arrived before is delivered then. */
  open(events: WireEvents): void;
  /**
   * Writes the parts in order, in one system call where the system can. They must not change until
   * `done` was called. Gives false when the caller should wait for `drain`.
   */
  write(parts: readonly Uint8Array[], done: () => void): boolean;
  /** Stops and starts reading: backpressure towards the peer. */
  pause(): void;
  resume(): void;
  /** The peer was welcomed: a wire that took no more than a handshake until now takes what the protocol allows. */
  admitted?(): void;
  /** Ends after everything written has gone out. */
  end(closeCode?: number, reason?: string): void;
  /**
   * The wire is on its way out: it is destroyed once nothing has been taken by the system for `stallMs`
   * milliseconds, whether `end` was called already or not.
   */
  hasten(stallMs: number): void;
  /** Ends at once. */
  destroy(): void;
}
