// Channels as a whole: which there are, what is in them, removing them; and one message without a handle.

import { constants } from 'node:os';
import { IPCError } from '../base/errors.ts';
import { knownOptions } from '../base/options.ts';
import type { Sendable } from './arguments.ts';
import { IPCChannel } from './channel.ts';
import {
  ChannelType,
  ConnMode,
  decodeName,
  encodeName,
  groupOption,
  POLICIES,
  resolveOptions,
  type ShmChannelOptions,
  type SlowPolicy,
} from './options.ts';
import { type Peer, toPeer } from './presence.ts';
import { ONLOOKER, Ring, shmNative } from './ring.ts';
import { checked, errorOfStatus } from './status.ts';

/** One channel of `list`. */
export interface ChannelEntry {
  /** The name that it is opened by. */
  readonly name: string;
  /** Open to the group. */
  readonly group: boolean;
}

/** What `inspect` tells about a channel. */
export interface ChannelReport {
  /** The name that it is opened by. */
  readonly name: string;
  /** Whether one or many may send. */
  readonly type: ChannelType;
  /** What happens when a receiver is a ring behind. */
  readonly policy: SlowPolicy;
  /** For `evict-after`: milliseconds that a full ring is borne. */
  readonly evictAfterMs: number;
  /** Messages that a late receiver begins with. */
  readonly history: number;
  /** Whether only the newest value is kept. */
  readonly latest: boolean;
  /** Bytes of the ring. */
  readonly capacityBytes: number;
  /** Bytes of the file that it lies in. */
  readonly fileBytes: number;
  /** Version of the layout in memory; handles of another are refused. */
  readonly layoutVersion: number;
  /** When it was made. */
  readonly createdAt: Date;
  /** How many messages were sent since the channel was made. */
  readonly messages: number;
  /** How many bytes went through the ring, headers included. */
  readonly ringBytes: number;
  /** Who is in it. */
  readonly peers: readonly Peer[];
}

/** The channels that somebody is in. What killed processes left is removed on the way. */
export function list(): ChannelEntry[] {
  return shmNative()
    .list()
    .map((entry) => ({ name: decodeName(entry.name), group: entry.group === 1 }));
}

const fileNameOf = (name: string): string => checked('open', () => encodeName(name));

/** Looks into a channel without being in it: nobody notices, and it may be full. Undefined when there is none of this name. */
export function inspect(name: string, options: { readonly group?: boolean } = {}): ChannelReport | undefined {
  let ring: Ring;
  try {
    const resolved = checked('open', () => {
      knownOptions('inspect', options, ['group']);
      return resolveOptions({ ...options, mustExist: true });
    });
    ring = new Ring(name, fileNameOf(name), undefined, ONLOOKER, resolved);
  } catch (error) {
    if (error instanceof IPCError && error.code === 'USAGE_NO_CHANNEL') return undefined;
    throw error;
  }
  try {
    const info = ring.currentInfo();
    return {
      name,
      type: info.type === ChannelType.ROUTE ? ChannelType.ROUTE : ChannelType.CHANNEL,
      policy: POLICIES[info.policy] ?? 'block',
      evictAfterMs: info.evictMs,
      history: info.history,
      latest: info.latest === 1,
      capacityBytes: info.capacity,
      fileBytes: info.fileBytes,
      layoutVersion: info.layoutVersion,
      createdAt: new Date(info.createdAt),
      messages: info.nextSequence,
      ringBytes: info.position,
      peers: ring.peers().map(toPeer),
    };
  } finally {
    ring.close();
  }
}

/**
 * Removes the channel's file, used or not; gives whether there was one. Who is in the channel goes on among
 * themselves, who comes later gets a new one. Not needed to tidy up: that happens by itself.
 */
export function clearChannelStorage(name: string, options: { readonly group?: boolean } = {}): boolean {
  const group = checked('open', () => {
    knownOptions('clearChannelStorage', options, ['group']);
    return groupOption(options.group);
  });
  const status = shmNative().clear(fileNameOf(name), group);
  if (status === 0) return true;
  if (status === -constants.errno.ENOENT) return false;
  throw errorOfStatus('open', status, name);
}

/** Sends one message to those who are there. */
export async function sendMessage(
  name: string,
  data: Sendable,
  type: ChannelType = ChannelType.CHANNEL,
  options: ShmChannelOptions & { readonly timeoutMs?: number } = {},
): Promise<void> {
  const { timeoutMs, ...channelOptions } = options;
  using channel = new IPCChannel(type, name, ConnMode.SENDER, channelOptions);
  await channel.send(data, timeoutMs === undefined ? {} : { timeoutMs });
}

/** Joins, waits for one message, and leaves. */
export async function receiveMessage(
  name: string,
  timeoutMs: number = Number.POSITIVE_INFINITY,
  type: ChannelType = ChannelType.CHANNEL,
  options: ShmChannelOptions = {},
): Promise<Buffer> {
  using channel = new IPCChannel(type, name, ConnMode.RECEIVER, options);
  return await channel.receive({ timeoutMs });
}
