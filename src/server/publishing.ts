// The way of a publish through the server: screened, routed by the broker, offered to every subscriber's
// outbox, and the publisher's credit given back when nobody holds it up.

import { type IPCError, ipcError } from '../base/errors.ts';
import { publish } from '../broker/router.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameFlag } from '../protocol/frame-types.ts';
import { encodePayload } from '../protocol/payload.ts';
import type { Binding } from './binding.ts';
import { Flow } from './flow.ts';
import type { Hub } from './hub.ts';
import type { ServerMessage } from './message.ts';
import type { NativePeer } from './native-peer.ts';
import { Publication } from './publication.ts';
import { observe, screened } from './screening.ts';
import type { Subscriber } from './subscriber.ts';
import type { Published, ChannelPublishOptions, ServerApplication, ServerChannel } from './types.ts';

export class Publishing {
  readonly #hub: Hub;
  readonly #flows = new Map<ServerChannel, Flow>();

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** A PUBLISH of a native client. Without middleware and handler no message object is made. */
  ofNative(peer: NativePeer, binding: Binding, frame: Frame, bytes: number, now: number): void {
    const done = (flow: Flow | undefined, error?: IPCError, receivers = 0): void => {
      binding.consumed(bytes, flow);
      if (error !== undefined) peer.publishFailed(frame, error);
      else if (frame.id !== 0) peer.publishDone(frame, receivers);
    };
    let channel: ServerChannel;
    try {
      channel = this.#bound(binding);
    } catch (thrown) {
      done(undefined, thrown as IPCError);
      return;
    }
    const retain = (frame.flags & FrameFlag.RETAIN) !== 0 || channel.settings.retain;
    if (channel.middleware.all().length === 0 && channel.getHandler('publish') === undefined) {
      const publication = this.publication(channel, frame.content, frame.payload);
      done(this.fanOut(channel, publication, retain), undefined, channel.receivers.length);
      return;
    }
    this.#screenedPublish(channel, peer.publishMessage(frame, now), retain, done);
  }

  /** A publish of an old client. */
  ofLegacy(message: ServerMessage, done: (flow: Flow | undefined, error?: IPCError) => void): void {
    let channel: ServerChannel;
    try {
      channel = this.channelToPublish(message.connection.application, message.channelId);
    } catch (thrown) {
      done(undefined, thrown as IPCError);
      return;
    }
    this.#screenedPublish(channel, message, channel.settings.retain, done);
  }

  /** The server's own publish. Throws `LIMIT_OUTBOX` while subscribers hold the channel's publishers up. */
  ofServer(channel: ServerChannel, payload: unknown, options: ChannelPublishOptions = {}): Published {
    const { content, bytes } = encodePayload(payload, this.#hub.options.codec);
    if (this.#flows.get(channel)?.blocked === true) {
      throw ipcError(
        'LIMIT_OUTBOX',
        `subscribers of ${channel.channelId} are behind; await ready() of the publish before`,
        { details: { channelId: channel.channelId } },
      );
    }
    const retain = options.retain ?? channel.settings.retain;
    const flow = this.fanOut(channel, this.publication(channel, content, bytes), retain);
    return {
      receivers: channel.receivers.length,
      blocked: flow?.blocked === true,
      ready: () => flow?.ready() ?? Promise.resolve(),
    };
  }

  /** Offers to every subscriber; gives the flow when one of them holds the publishers up. */
  fanOut(channel: ServerChannel, publication: Publication, retain: boolean): Flow | undefined {
    const hub = this.#hub;
    const application = hub.applications.getApplication(channel.appId);
    if (application === undefined) return undefined;
    const { receivers } = publish(application, channel, publication, hub.now(), retain);
    let flow = this.#flows.get(channel);
    for (let i = 0; i < receivers.length; i += 1) {
      const receiver = receivers[i] as Subscriber;
      if (!receiver.offer(publication)) continue;
      if (flow === undefined) {
        flow = new Flow();
        this.#flows.set(channel, flow);
      }
      hub.stats.slowConsumers += 1;
      receiver.holdUp(flow);
    }
    if (flow?.idle === true) this.#flows.delete(channel);
    return flow;
  }

  publication(channel: ServerChannel, content: number, payload: Uint8Array): Publication {
    return new Publication(channel.number, channel.channelId, content, payload, channel.appId, this.#hub);
  }

  /** Throws `REMOTE_FORBIDDEN` for a channel of the system, and what `channelFor` throws. */
  channelToPublish(application: ServerApplication, channelId: string): ServerChannel {
    if (channelId.startsWith('$')) {
      throw ipcError('REMOTE_FORBIDDEN', `${channelId} is a channel of the system; nobody publishes to it`);
    }
    return application.channelFor(channelId, this.#hub.now());
  }

  #bound(binding: Binding): ServerChannel {
    if (binding.channel === undefined || binding.channel.removed) {
      binding.channel = this.channelToPublish(binding.peer.application, binding.name);
    }
    return binding.channel;
  }

  #screenedPublish(
    channel: ServerChannel,
    message: ServerMessage,
    retain: boolean,
    done: (flow: Flow | undefined, error?: IPCError, receivers?: number) => void,
  ): void {
    const { connection } = message;
    screened(channel, message, (error) => {
      if (error !== undefined) {
        done(undefined, error);
        return;
      }
      const handler = channel.getHandler('publish');
      if (handler !== undefined) {
        observe(
          () => handler(message, connection),
          (fault) => this.#hub.report(fault, connection),
        );
      }
      const publication = this.publication(channel, message.contentType, message.bytes);
      if (connection.protocol === 'json') publication.legacySource = message;
      done(this.fanOut(channel, publication, retain), undefined, channel.receivers.length);
    });
  }
}
