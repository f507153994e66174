// The options of single operations, read at the door.

import { booleanOption, choiceOption, integerOption, knownOptions } from '../base/options.ts';
import { OUTBOX_POLICIES } from '../protocol/policies.ts';
import { BYTES_MAX } from './options.ts';
import type { SubscribeOptions } from './subscription.ts';

/** Options of a request. */
export interface RequestOptions {
  /** Milliseconds; 0 = none. Default: `requestTimeout` of the client. */
  readonly timeout?: number;
  /** Cancels the request, at the handler too. */
  readonly signal?: AbortSignal;
}

/** Options of `sendRequest`. */
export interface SendRequestOptions extends RequestOptions {
  /** Resolve to null at the time-out, as the original did, in place of rejecting. Default false. */
  readonly nullOnTimeout?: boolean;
}

/** Options of a publish. */
export interface PublishOptions {
  /** Keep it as the channel's last value, for subscribers to come. Default false. */
  readonly retain?: boolean;
}

/** Options of `serve`. */
export interface ServeOptions {
  /** Requests that this client takes at a time. 1 to 1,000,000. Default: the server's. */
  readonly maxInFlight?: number;
  /** Ends the service when it fires. */
  readonly signal?: AbortSignal;
}

export const REQUEST_OPTIONS = ['timeout', 'signal'];
export const SEND_REQUEST_OPTIONS = [...REQUEST_OPTIONS, 'nullOnTimeout'];
const SUBSCRIBE_OPTIONS = ['policy', 'outboxBytesMax', 'creditBytes', 'retained', 'signal'];
const DEFAULT_CREDIT_BYTES = 4 * 1024 * 1024;

export function readRetain(options: PublishOptions): boolean {
  knownOptions('publish', options, ['retain']);
  return booleanOption('retain', options.retain, false);
}

/** Throws for what is wrong with the options of a subscription; gives what the server is told. */
export function subscribeFields(pattern: string, options: SubscribeOptions): object {
  knownOptions('subscribe', options, SUBSCRIBE_OPTIONS);
  const { outboxBytesMax } = options;
  const policy =
    options.policy === undefined ? undefined : choiceOption('policy', options.policy, OUTBOX_POLICIES, 'block');
  if (outboxBytesMax !== undefined) {
    integerOption('outboxBytesMax', outboxBytesMax, { default: 1, min: 1, max: BYTES_MAX });
  }
  const retained = options.retained === undefined ? undefined : booleanOption('retained', options.retained, true);
  return { pattern, policy, outboxBytesMax, retained };
}

export function creditBytesOption(options: SubscribeOptions): number {
  return integerOption('creditBytes', options.creditBytes, {
    default: DEFAULT_CREDIT_BYTES,
    min: 1024,
    max: BYTES_MAX,
  });
}

/** Throws for what is wrong with the options of a service; gives what the server is told. */
export function serveFields(channel: string, options: ServeOptions): object {
  knownOptions('serve', options, ['maxInFlight', 'signal']);
  const { maxInFlight } = options;
  if (maxInFlight === undefined) return { channel };
  return { channel, maxInFlight: integerOption('maxInFlight', maxInFlight, { default: 1, min: 1, max: 1_000_000 }) };
}
