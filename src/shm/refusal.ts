// Why a channel could not be opened: what stands there, and what was asked for.

import { lstatSync, type Stats } from 'node:fs';
import { constants } from 'node:os';
import type { ShmInfo } from '../native/shm-native.ts';
import { ChannelType, POLICIES, type ResolvedOptions } from './options.ts';
import { errorOfStatus, type ShmError, shmError, STATUS } from './status.ts';

/** What somebody wanted to open. */
export interface Wanted {
  readonly name: string;
  /** Undefined: whatever it is. */
  readonly type: ChannelType | undefined;
  readonly options: ResolvedOptions;
  /** Where the channel's file lies, if there is one. */
  readonly path: string;
  /** What is known of the channel that is there; undefined when this version cannot tell. */
  readonly look: () => ShmInfo | undefined;
}

type Details = Readonly<Record<string, unknown>>;

const { errno } = constants;

/** The error of a status other than `ok` that opening ended with. */
export function refusal(status: number, wanted: Wanted): ShmError {
  const { name, options } = wanted;
  const details = { channel: name, status };
  if (status === -errno.ENOENT && options.mustExist) {
    return shmError('open', 'USAGE_NO_CHANNEL', `channel '${name}': nobody is in it`, details);
  }
  if (status === -errno.ENOSPC || status === -errno.ENOMEM) {
    const { capacityBytes } = options;
    const message = `channel '${name}': not enough shared memory for a ring of ${capacityBytes} bytes`;
    return shmError('open', 'SYSTEM_SHM_SPACE', message, { ...details, capacityBytes });
  }
  if (status === STATUS.foreign) return foreign(wanted, details);
  if (status === STATUS.mismatch) return mismatch(wanted, details);
  return errorOfStatus('open', status, name);
}

function foreign({ name, options, path }: Wanted, details: Details): ShmError {
  const file = lstatSync(path, { throwIfNoEntry: false });
  const fault = file ? faultOf(file, options.group) : 'was not ours alone';
  const more = { path, owner: file?.uid, group: file?.gid, mode: file && file.mode & 0o7777 };
  return shmError('open', 'SYSTEM_SHM_FOREIGN', `channel '${name}': ${path} ${fault}`, { ...details, ...more });
}

function faultOf(file: Stats, group: boolean): string {
  if (file.isSymbolicLink()) return 'is a symbolic link';
  if (!file.isFile()) return 'is no regular file';
  if (process.geteuid === undefined) return 'is not ours alone';
  if (group && file.gid !== process.getegid?.()) return `belongs to group ${file.gid}`;
  if (!group && file.uid !== process.geteuid()) return `belongs to user ${file.uid}`;
  return `may be opened by others: mode ${(file.mode & 0o7777).toString(8).padStart(4, '0')}`;
}

function mismatch({ name, type, options, look }: Wanted, details: Details): ShmError {
  const info = look();
  if (!info) {
    const message = `channel '${name}': its file is of another layout version, or no channel's`;
    return shmError('open', 'USAGE_CHANNEL_MISMATCH', message, details);
  }
  const found = { type: info.type, policy: POLICIES[info.policy], latest: info.latest === 1 };
  const { policy, latest } = options.anyPolicy ? found : options;
  const expected = { type: type ?? found.type, policy, latest };
  const message = `channel '${name}': it is ${said(found)}, and ${said(expected)} was asked for`;
  return shmError('open', 'USAGE_CHANNEL_MISMATCH', message, { ...details, found, expected });
}

function said({ type, policy, latest }: { type: number; policy: string | undefined; latest: boolean }): string {
  const kind = type === ChannelType.ROUTE ? 'a ROUTE' : 'a CHANNEL';
  return `${kind} ${latest ? 'that keeps the latest value' : `with policy '${policy}'`}`;
}
