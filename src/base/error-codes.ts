// Every error code of the package, in one table: what it means, whether trying again can help, and
// which class carries it. docs/errors.md is compared with this table by a test.
//
// The prefix says whose fault it is:
//   USAGE_    the caller of the API: mend the program
//   PEER_     the other side broke the protocol
//   REMOTE_   the other side understood and refused, or its handler failed
//   LIMIT_    a configured bound was met
//   NETWORK_  the way between the two is broken, or the operating system refused it
//   TIME_     something was not ready in time, or nobody wanted it any more
//   SYSTEM_   this machine lacks something (a native addon, memory, a file system)

/** The classes of the error tree below `IPCError`. */
export type ErrorKind = 'connection' | 'routing' | 'authentication' | 'channel' | 'application' | 'serialization' | 'timeout' | 'abort' | 'plain';

export interface ErrorCodeEntry {
  readonly kind: ErrorKind;
  /** May the very same call succeed later, without a change to the program? */
  readonly retry: boolean;
  readonly meaning: string;
}

/** Every code: its meaning, whether a retry can help, and the class of its errors. */
export const ERROR_CODES = {
  USAGE_INVALID_OPTION: { kind: 'plain', retry: false, meaning: 'an option or argument is out of its range' },
  USAGE_INVALID_NAME: { kind: 'plain', retry: false, meaning: 'an application, channel or pattern name is malformed' },
  USAGE_CLOSED: { kind: 'connection', retry: false, meaning: 'used after close' },
  USAGE_NOT_CONNECTED: { kind: 'connection', retry: true, meaning: 'the client is offline and the option says to fail at once' },
  USAGE_INSECURE: { kind: 'plain', retry: false, meaning: 'listening beyond localhost without authentication, and `insecure` is not set' },
  USAGE_WRONG_MODE: { kind: 'channel', retry: false, meaning: 'a shared-memory handle was used to send or to receive without having been opened for it' },
  USAGE_CHANNEL_MISMATCH: { kind: 'channel', retry: false, meaning: 'the shared-memory channel of this name is of another type, policy or layout version' },
  USAGE_NO_CHANNEL: { kind: 'channel', retry: true, meaning: 'nobody is in the shared-memory channel of this name, and `mustExist` says not to make one' },
  USAGE_RELEASED: { kind: 'plain', retry: false, meaning: 'a view or loan of shared memory was used after its release' },
  USAGE_UNSERIALIZABLE: { kind: 'serialization', retry: false, meaning: 'the payload cannot be encoded with the content type asked for' },
  USAGE_INVALID_PAYLOAD: { kind: 'serialization', retry: false, meaning: 'the payload does not fit the schema of the channel' },
  USAGE_UNSUPPORTED: { kind: 'plain', retry: false, meaning: 'the protocol spoken with this peer does not have it' },
  USAGE_HANDLER_FAILED: { kind: 'plain', retry: false, meaning: 'a handler or listener of this program threw' },

  PEER_MALFORMED_FRAME: { kind: 'serialization', retry: false, meaning: 'bytes that are no frame of the protocol' },
  PEER_UNEXPECTED_FRAME: { kind: 'connection', retry: false, meaning: 'a frame that is not legal in this state' },
  PEER_UNKNOWN_FRAME: { kind: 'serialization', retry: false, meaning: 'a frame type this version does not know' },
  PEER_UNKNOWN_EXTENSION: { kind: 'serialization', retry: false, meaning: 'an extension that must be understood is not' },
  PEER_VERSION: { kind: 'connection', retry: false, meaning: 'no protocol version in common' },
  PEER_FLOW_CONTROL: { kind: 'connection', retry: false, meaning: 'sent more than the credit allowed' },
  PEER_MALFORMED_PAYLOAD: { kind: 'serialization', retry: false, meaning: 'the payload does not decode as its content type says' },
  PEER_SILENT: { kind: 'connection', retry: true, meaning: 'nothing was heard from the peer within the heartbeat time' },
  PEER_HANDSHAKE_TIMEOUT: { kind: 'timeout', retry: true, meaning: 'the handshake was not finished in time' },
  PEER_CORRUPT_REGION: { kind: 'channel', retry: false, meaning: 'what stands in the shared memory cannot be right: a hostile or broken program wrote into it' },

  REMOTE_NO_CHANNEL: { kind: 'channel', retry: false, meaning: 'the channel does not exist and is not made automatically' },
  REMOTE_NO_APPLICATION: { kind: 'application', retry: false, meaning: 'the application does not exist and is not made automatically' },
  REMOTE_NO_HANDLER: { kind: 'routing', retry: true, meaning: 'nobody handles requests of this channel' },
  REMOTE_HANDLER_FAILED: { kind: 'routing', retry: false, meaning: 'the handler threw' },
  REMOTE_REFUSED: { kind: 'routing', retry: false, meaning: 'middleware refused the message' },
  REMOTE_UNAUTHENTICATED: { kind: 'authentication', retry: false, meaning: 'missing or wrong credentials' },
  REMOTE_FORBIDDEN: { kind: 'authentication', retry: false, meaning: 'the identity may not do this' },
  REMOTE_DRAINING: { kind: 'connection', retry: true, meaning: 'the server is stopping and takes no new work' },
  REMOTE_CLOSED: { kind: 'connection', retry: true, meaning: 'the peer closed the connection deliberately' },
  REMOTE_LOST: { kind: 'connection', retry: true, meaning: 'the connection that was to answer has gone' },
  REMOTE_CANCELLED: { kind: 'routing', retry: false, meaning: 'the peer cancelled' },
  REMOTE_STREAMS: { kind: 'routing', retry: false, meaning: 'the handler streams its response; call it with stream()' },

  LIMIT_MESSAGE_BYTES: { kind: 'serialization', retry: false, meaning: 'a message larger than the limit' },
  LIMIT_CONNECTIONS: { kind: 'connection', retry: true, meaning: 'the server has as many connections as it allows' },
  LIMIT_SUBSCRIPTIONS: { kind: 'channel', retry: false, meaning: 'the connection has as many subscriptions as it is allowed' },
  LIMIT_CHANNELS: { kind: 'channel', retry: false, meaning: 'the application has as many channels as it is allowed' },
  LIMIT_APPLICATIONS: { kind: 'application', retry: true, meaning: 'the server has as many applications as it is allowed' },
  LIMIT_WORKERS: { kind: 'routing', retry: true, meaning: 'every worker of the channel has as many requests in flight as it takes' },
  LIMIT_REQUESTS: { kind: 'routing', retry: true, meaning: 'too many requests are outstanding on the connection' },
  LIMIT_OUTBOX: { kind: 'connection', retry: true, meaning: 'the outbox is full and its policy is to disconnect or to fail' },
  LIMIT_OFFLINE_QUEUE: { kind: 'connection', retry: true, meaning: 'too much waits for the connection to come back' },
  LIMIT_RATE: { kind: 'connection', retry: true, meaning: 'more messages a second than allowed' },
  LIMIT_FILES: { kind: 'plain', retry: true, meaning: 'the process, or the machine, has as many files and sockets open as the system allows' },
  LIMIT_PEERS: { kind: 'channel', retry: true, meaning: 'the shared-memory channel has as many senders and receivers as it holds' },
  LIMIT_PRODUCERS: { kind: 'channel', retry: true, meaning: 'a ROUTE has a producer already, and takes one' },
  LIMIT_EVICTED: { kind: 'channel', retry: true, meaning: 'this receiver was a ring behind for too long and was evicted; it may rejoin' },

  NETWORK_CONNECT_FAILED: { kind: 'connection', retry: true, meaning: 'nobody answers at the address' },
  NETWORK_LOST: { kind: 'connection', retry: true, meaning: 'the connection broke' },
  NETWORK_PORT_IN_USE: { kind: 'connection', retry: true, meaning: 'another process listens on the port' },
  NETWORK_PATH_TOO_LONG: { kind: 'connection', retry: false, meaning: 'a Unix socket path longer than the system takes' },
  NETWORK_PATH_OCCUPIED: { kind: 'connection', retry: true, meaning: 'a live server listens on the socket path, or a file that is no socket stands there' },
  NETWORK_PERMISSION: { kind: 'connection', retry: false, meaning: 'the operating system refused access' },
  NETWORK_LISTEN_FAILED: { kind: 'connection', retry: false, meaning: 'the address cannot be listened on' },

  TIME_OUT: { kind: 'timeout', retry: true, meaning: 'not finished within the time-out' },
  TIME_CANCELLED: { kind: 'abort', retry: false, meaning: 'the AbortSignal of the call fired' },

  SYSTEM_NO_ADDON: { kind: 'plain', retry: false, meaning: 'the native addon is not there for this platform' },
  SYSTEM_SHM_SPACE: { kind: 'channel', retry: true, meaning: 'the machine has not as much shared memory as the channel asks for' },
  SYSTEM_SHM_FOREIGN: { kind: 'channel', retry: false, meaning: 'the file of the shared-memory channel belongs to another user, is open to others, or is no regular file' },
  SYSTEM_UNEXPECTED: { kind: 'plain', retry: false, meaning: 'a fault of this package or of the machine; report it' },
} as const satisfies Record<string, ErrorCodeEntry>;

/** A stable error code. The wording of messages is free; codes do not change within a major version. */
export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}
