// The arguments of a channel's calls, looked at where they come in: what is wrong with them is said by name,
// with a code and with a status code of libipc.

import { types } from 'node:util';
import { integerOption, invalidOption } from '../base/options.ts';
import { FOREVER, resolveWait, type ResolvedWait, type ShmWaitOptions } from './options.ts';
import { type Activity, checked, withStatus } from './status.ts';

// Not `instanceof`, which also takes what only looks like bytes, and would be sent as nothing.
const { isArrayBuffer, isUint8Array } = types;

/** What can be sent; a text goes as UTF-8. */
export type Sendable = Uint8Array | ArrayBuffer | string;

export function toBytes(data: Sendable): Uint8Array {
  if (isUint8Array(data)) {
    if (data.length === 0) checkEmpty(data);
    return data;
  }
  if (typeof data === 'string') return Buffer.from(data);
  return checked('send', () => {
    if (isArrayBuffer(data)) return overBuffer(data);
    throw invalidOption('data', data, 'a Uint8Array, an ArrayBuffer or a text');
  });
}

function overBuffer(data: ArrayBufferLike): Uint8Array {
  try {
    return new Uint8Array(data);
  } catch {
    throw invalidOption('data', data, 'an ArrayBuffer that was not transferred');
  }
}

/** Bytes whose memory was transferred, or has shrunk elsewhere, look empty; every method of theirs refuses them, though. */
function checkEmpty(data: Uint8Array): void {
  try {
    Uint8Array.prototype.at.call(data, 0);
  } catch {
    checked('send', () => overBuffer(data.buffer));
    throw withStatus('send', invalidOption('data', data, 'bytes within their ArrayBuffer'));
  }
}

export function checkPlace(place: Uint8Array): void {
  checked('receive', () => {
    if (!isUint8Array(place)) throw invalidOption('place', place, 'a Uint8Array');
  });
}

/** The array itself when there is nothing to convert; it has no holes. */
export function allToBytes(messages: readonly Sendable[]): readonly Uint8Array[] {
  if (!Array.isArray(messages)) {
    checked('send', () => {
      throw invalidOption('messages', messages, 'an array of messages');
    });
  }
  return areBytes(messages) ? messages : Array.from(messages, toBytes);
}

function areBytes(messages: readonly Sendable[]): messages is readonly Uint8Array[] {
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i];
    if (!isUint8Array(message)) return false;
    if (message.length === 0) checkEmpty(message);
  }
  return true;
}

export function waitOf(activity: Activity, wait: ShmWaitOptions | number | undefined): ResolvedWait {
  if (wait === undefined) return FOREVER;
  return checked(activity, () => resolveWait(wait));
}

export function countOption(activity: Activity, name: string, value: number, min: number, max: number): void {
  checked(activity, () => integerOption(name, value ?? Number.NaN, { default: min, min, max }));
}
