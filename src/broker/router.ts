// Where the broker's parts meet. Nothing here calls outward or waits: every question is answered with
// data, and time comes in as an argument.
//
// The way of one publish:
//   1. A frame names a channel; the connection knows it by number, or `application.channelFor(name, now)`
//      finds or makes it.
//   2. `screen` passes the message through the middleware of server, application and channel. It is
//      synchronous unless one of them is not.
//   3. `publish` keeps the last value where that is wanted and returns the delivery: the message and the
//      array of all who get it. The array is cached for each channel, so this costs the same for one
//      subscriber and for a thousand.
//   4. The layer above encodes the message once and puts it into the outbox of each receiver; it calls
//      `delivery.handler`, if there is one.
//
// The way of one request: `screen` as above, then `resolveRequest` says who answers: the channel's handler,
// else the worker with the least in flight, else nobody, with the code that says why. A worker that was
// found has the request assigned; `channel.workers.settle(request)` when it has ended.

import type { ErrorCode } from '../base/error-codes.ts';
import type { Application } from './application.ts';
import type { Channel } from './channel.ts';
import type { Verdict } from './middleware.ts';
import type { BrokerTypes, Handler } from './types.ts';

/** A message and its recipients. */
export interface Delivery<B extends BrokerTypes> {
  /** The living channel: another one than was given, where that one had been removed. */
  readonly channel: Channel<B>;
  readonly publication: B['publication'];
  /** One entry for each subscription; never changed once given. */
  readonly receivers: readonly B['subscriber'][];
  /** The server's own listener of the channel. */
  readonly handler: Handler<B> | undefined;
}

/** Who answers a request. */
export type RequestRoute<B extends BrokerTypes> =
  | { readonly kind: 'handler'; readonly channel: Channel<B>; readonly handler: Handler<B> }
  | { readonly kind: 'worker'; readonly channel: Channel<B>; readonly connection: B['connection'] }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly message: string };

/** May the message go on? A promise only where some middleware gave one. */
export function screen<B extends BrokerTypes>(
  channel: Channel<B>,
  message: B['message'],
  context: B['context'],
): Verdict | Promise<Verdict> {
  return channel.middleware.run(message, context);
}

/**
 * Who gets this message. A channel object that was removed meanwhile is looked up again by its name, so
 * that a number once told to a client never leads nowhere. Raises what `channelFor` raises.
 */
export function publish<B extends BrokerTypes>(
  application: Application<B>,
  channel: Channel<B>,
  publication: B['publication'],
  now: number,
  retain: boolean = channel.settings.retain,
): Delivery<B> {
  const living = reach(application, channel, now);
  if (retain) application.retain(living, publication);
  return { channel: living, publication, receivers: living.receivers, handler: living.getHandler('publish') };
}

/** The living channel, which was published on now: for messages of which none is kept. Raises what `publish` raises. */
export function reach<B extends BrokerTypes>(
  application: Application<B>,
  channel: Channel<B>,
  now: number,
): Channel<B> {
  const living = channel.removed ? application.channelFor(channel.channelId, now) : channel;
  living.touch();
  application.updateActivity(now);
  return living;
}

/** Who answers this request; a worker that is found has it from now on. */
export function resolveRequest<B extends BrokerTypes>(
  application: Application<B> | undefined,
  channelId: string,
  request: B['request'],
): RequestRoute<B> {
  if (application === undefined) return refuse('REMOTE_NO_APPLICATION', 'there is no such application');
  const channel = application.getChannel(channelId);
  if (channel === undefined) {
    // Where channels make themselves, one that is not there is one that nobody serves yet.
    return application.settings.autoCreateChannels
      ? refuse('REMOTE_NO_HANDLER', `nobody handles requests of ${channelId}`)
      : refuse('REMOTE_NO_CHANNEL', `application ${application.appId} has no channel ${channelId}`);
  }
  const handler = channel.getHandler('request');
  if (handler !== undefined) return { kind: 'handler', channel, handler };
  if (channel.workers.size === 0) return refuse('REMOTE_NO_HANDLER', `nobody handles requests of ${channelId}`);
  const connection = channel.workers.assign(request);
  if (connection !== undefined) return { kind: 'worker', channel, connection };
  return refuse('LIMIT_WORKERS', `every worker of ${channelId} has as many requests as it takes`);
}

function refuse<B extends BrokerTypes>(code: ErrorCode, message: string): RequestRoute<B> {
  return { kind: 'error', code, message };
}
