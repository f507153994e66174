// Bounds on everything that a peer can make us hold, and the defaults of the options with their names.

/** Bounds on what one peer can make the other hold. */
export interface Limits {
  /** Largest message, in bytes, reassembled: 1 KiB to 1 GiB. Default 16 MiB. */
  readonly messageBytesMax: number;
  /** Subscriptions of one connection, 1 to 1,000,000. Default 1,000. */
  readonly subscriptionsMax: number;
  /** Channel names that one connection may declare, 1 to 1,000,000. Default 10,000. */
  readonly declaredChannelsMax: number;
  /** Requests of one connection that are not answered yet, each direction: 1 to 10,000,000. Default 10,000. */
  readonly requestsMax: number;
  /** Messages of one connection that are being reassembled at a time, 1 to 1,000. Default 16. */
  readonly partialMessagesMax: number;
  /** Bytes that a publisher may have under way on one channel, 1 KiB to 2^31-1. Default 4 MiB. */
  readonly publishWindowBytes: number;
  /** Bytes that may be under way in one stream, 1 KiB to 2^31-1. Default 256 KiB. */
  readonly streamWindowBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  messageBytesMax: 16 * 1024 * 1024,
  subscriptionsMax: 1000,
  declaredChannelsMax: 10_000,
  requestsMax: 10_000,
  partialMessagesMax: 16,
  publishWindowBytes: 4 * 1024 * 1024,
  streamWindowBytes: 256 * 1024,
};

/** A body longer than this goes out in pieces, so that small messages pass it. */
export const FRAGMENT_BYTES = 128 * 1024;
/** Bodies of the handshake are small, whatever `messageBytesMax` says. */
export const HANDSHAKE_BYTES_MAX = 64 * 1024;
/** A message of a WebSocket carries a part of the stream, of this size at most, whatever `messageBytesMax` says. */
export const WEBSOCKET_MESSAGE_BYTES_MAX = 1024 * 1024;
/** Of a WebSocket no more is taken until HELLO is complete: HELLO, and what came with its last bytes. */
export const WEBSOCKET_HANDSHAKE_BYTES_MAX = 2 * HANDSHAKE_BYTES_MAX;
/**
 * No frame length may begin with an ASCII capital: that is an HTTP request. 1 GiB is 0x40000000, one
 * below 'A'.
 */
export const MESSAGE_BYTES_LARGEST = 0x40000000;
