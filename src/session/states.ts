// The life of a connection as data: which frames may arrive in which state. docs/protocol.md,
// "States", shows the same table; a test compares them.

import { FrameType } from '../protocol/frame-types.ts';

export type SessionRole = 'client' | 'server';

/**
 * opening: the handshake is under way. open: everything is legal. closing: we have said goodbye and
 * only wait for what is in flight. closed: nothing is sent or taken any more.
 */
export type SessionState = 'opening' | 'open' | 'closing' | 'closed';

const BOTH = [
  FrameType.GOODBYE,
  FrameType.PING,
  FrameType.PONG,
  FrameType.DECLARE,
  FrameType.OK,
  FrameType.ERROR,
  FrameType.REQUEST,
  FrameType.RESPONSE,
  FrameType.CANCEL,
  FrameType.STREAM_DATA,
  FrameType.STREAM_END,
  FrameType.NOTIFICATION,
  FrameType.CREDIT,
  FrameType.FRAGMENT,
] as const;

const FROM_CLIENT = [
  ...BOTH,
  FrameType.SUBSCRIBE,
  FrameType.UNSUBSCRIBE,
  FrameType.PUBLISH,
  FrameType.ACK,
  FrameType.SERVE,
  FrameType.UNSERVE,
] as const;

const FROM_SERVER = [...BOTH, FrameType.DELIVERY, FrameType.LOST, FrameType.RESUME] as const;

/** What a session of this role may receive in this state. */
export const LEGAL_FRAMES: Readonly<Record<SessionRole, Readonly<Record<SessionState, readonly number[]>>>> = {
  server: { opening: [FrameType.HELLO, FrameType.GOODBYE], open: FROM_CLIENT, closing: FROM_CLIENT, closed: [] },
  client: { opening: [FrameType.WELCOME, FrameType.GOODBYE], open: FROM_SERVER, closing: FROM_SERVER, closed: [] },
};

/** Legal moves from state to state. */
export const TRANSITIONS: Readonly<Record<SessionState, readonly SessionState[]>> = {
  opening: ['open', 'closed'],
  open: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
};
