// Who comes and goes, told to whoever subscribes `$presence` (the application) or `$presence.CHANNEL`.

import type { PresenceEvent } from '../broker/presence.ts';
import type { ServerChannel, ServerConnection } from './model.ts';

export const PRESENCE_CHANNEL = '$presence';

/** The payload of a presence delivery. */
export interface PresenceNews {
  /** Whether somebody came or went. */
  readonly event: 'join' | 'leave';
  /** The channel that was joined or left; absent for the application itself. */
  readonly channel?: string;
  /** Who, by the id that the server gave. */
  readonly connectionId: string;
  /** What the client calls itself. */
  readonly name?: string;
  /** What authentication made of it. */
  readonly identity?: unknown;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function presenceChannelOf(channelId: string | undefined): string {
  return channelId === undefined ? PRESENCE_CHANNEL : `${PRESENCE_CHANNEL}.${channelId}`;
}

/** Publishes one event, where anybody listens. */
export function announcePresence(
  event: PresenceEvent<ServerConnection>,
  publish: (channel: ServerChannel, payload: PresenceNews) => void,
): void {
  // Coming and going on the system's own channels is nobody's news.
  if (event.channelId?.startsWith('$') === true) return;
  const channel = event.connection.application.getChannel(presenceChannelOf(event.channelId));
  if (channel === undefined || channel.receivers.length === 0) return;
  const { connectionId, name, identity } = event.member;
  publish(channel, {
    event: event.kind,
    ...(event.channelId === undefined ? {} : { channel: event.channelId }),
    connectionId,
    ...(name === undefined ? {} : { name }),
    ...(identity === undefined ? {} : { identity }),
    at: event.at,
  });
}
