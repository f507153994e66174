// The arguments of a channel's calls, looked at where they come in: what is wrong with them is said by name,
// with a code and with a status code of libipc.

import { integerOption, invalidOption } from '../base/options.ts';
import { FOREVER, resolveWait, type ResolvedWait, type ShmWaitOptions } from './options.ts';
import { type Activity, checked } from './status.ts';

/** What can be sent; a text goes as UTF-8. */
export type Sendable = Uint8Array | ArrayBuffer | string;

export function toBytes(data: Sendable): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data === 'string') return Buffer.from(data);
  return checked('send', () => {
    if (data instanceof ArrayBuffer) return overBuffer(data);
    throw invalidOption('data', data, 'a Uint8Array, an ArrayBuffer or a text');
  });
}

function overBuffer(data: ArrayBuffer): Uint8Array {
  try {
    return new Uint8Array(data);
  } catch {
    throw invalidOption('data', data, 'an ArrayBuffer that was not transferred');
  }
}

export function checkPlace(place: Uint8Array): void {
  checked('receive', () => {
    if (!(place instanceof Uint8Array)) throw invalidOption('place', place, 'a Uint8Array');
  });
}

/** The array itself when there is nothing to convert. */
export function allToBytes(messages: readonly Sendable[]): readonly Uint8Array[] {
  if (!Array.isArray(messages)) {
    checked('send', () => {
      throw invalidOption('messages', messages, 'an array of messages');
    });
  }
  return areBytes(messages) ? messages : messages.map(toBytes);
}

function areBytes(messages: readonly Sendable[]): messages is readonly Uint8Array[] {
  for (let i = 0; i < messages.length; i++) if (!(messages[i] instanceof Uint8Array)) return false;
  return true;
}

export function waitOf(activity: Activity, wait: ShmWaitOptions | number | undefined): ResolvedWait {
  if (wait === undefined) return FOREVER;
  return checked(activity, () => resolveWait(wait));
}

export function countOption(activity: Activity, name: string, value: number, min: number, max: number): void {
  checked(activity, () => integerOption(name, value ?? Number.NaN, { default: min, min, max }));
}
