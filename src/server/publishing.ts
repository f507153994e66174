// The way of a publish through the server: screened, routed by the broker, offered to every subscriber's
// outbox, and the publisher's credit given back when nobody holds it up.

import { type IPCError, ipcError } from '../base/errors.ts';
import { publish, reach } from '../broker/router.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameFlag, HEADER_BYTES, LENGTH_BYTES } from '../protocol/frame-types.ts';
import { encodePayload } from '../protocol/payload.ts';
import type { Alike } from '../protocol/frame.ts';
import type { Binding } from './binding.ts';
import { Burst, BURST_BYTES_MAX } from './burst.ts';
import type { Context } from './context.ts';
import { Flow } from './flow.ts';
import type {
  ChannelPublishOptions,
  IncomingMessage,
  NativePublisher,
  Published,
  ServerApplication,
  ServerChannel,
  Subscriber,
} from './model.ts';
import { Publication } from './publication.ts';
import { observe, screened } from './screening.ts';

export class Publishing {
  readonly #context: Context;
  /** Of the channels whose publishers are held up, and of no others. */
  readonly #flows = new Map<ServerChannel, Flow>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** How many channels have publishers that are held up. */
  get channelsHeldUp(): number {
    return this.#flows.size;
  }

  /** A PUBLISH of a native client. Without middleware and handler no message object is made. */
  ofNative(peer: NativePublisher, binding: Binding, frame: Frame, bytes: number, now: number): void {
    let channel: ServerChannel;
    try {
      channel = this.#bound(binding);
    } catch (thrown) {
      binding.consumed(bytes, undefined);
      peer.publishFailed(frame, thrown as IPCError);
      return;
    }
    if (this.#refused(binding, channel, frame, bytes)) return;
    const retain = (frame.flags & FrameFlag.RETAIN) !== 0 || channel.settings.retain;
    if (unseen(channel)) {
      const publication = this.#received(channel, frame);
      binding.consumed(bytes, this.fanOut(channel, publication, retain, this.#context.toEpoch(now)));
      if (frame.id !== 0) peer.publishDone(frame, channel.receivers.length);
      return;
    }
    this.#screenedPublish(channel, peer.publishMessage(frame, now), retain, (flow, error, receivers = 0) => {
      binding.consumed(bytes, flow);
      if (error !== undefined) peer.publishFailed(frame, error);
      else if (frame.id !== 0) peer.publishDone(frame, receivers);
    });
  }

  /**
   * Bytes of publishes like this one that may be given to `ofBurst`, behind it; 0 where each of them has to be
   * looked at.
   */
  burstBytesMax(binding: Binding, frame: Frame): number {
    const { channel } = binding;
    if (frame.id !== 0 || frame.flags !== 0 || !framed(frame)) return 0;
    if (channel === undefined || channel.removed || channel.settings.retain || !unseen(channel)) return 0;
    if (this.#flows.size > 0 && glutted(channel)) return 0;
    const bytesMax = BURST_BYTES_MAX - frame.payloadBytes - HEADER_BYTES;
    // What begins within the credit is legal.
    return this.#context.settings.messagesPerSecondMax > 0 ? 0 : Math.min(bytesMax, binding.credit.allowedBytes);
  }

  /** A PUBLISH of a native client, and those like it that stand behind it; `bytes` is what they count in credit. */
  ofBurst(binding: Binding, frame: Frame, more: Alike, bytes: number, now: number): void {
    const channel = binding.channel as ServerChannel;
    const start = frame.start - HEADER_BYTES - LENGTH_BYTES;
    const burst = new Burst(channel, frame.content, 1 + more.count, frame.buffer, start, more.end, this.#context);
    reach(binding.peer.application, channel, this.#context.toEpoch(now));
    if (roomFor(channel, burst)) {
      binding.consumed(bytes, this.#offer(channel, burst));
      return;
    }
    for (const one of burst.publications) {
      if (!this.#refused(binding, channel, frame, one.bytes)) binding.consumed(one.bytes, this.#offer(channel, one));
    }
  }

  /** A publish of an old client. */
  ofLegacy(message: IncomingMessage, done: (flow: Flow | undefined, error?: IPCError) => void): void {
    let channel: ServerChannel;
    try {
      channel = this.channelToPublish(message.connection.application, message.channelId);
    } catch (thrown) {
      done(undefined, thrown as IPCError);
      return;
    }
    this.#screenedPublish(channel, message, channel.settings.retain, done);
  }

  /**
   * The server's own publish. Throws `LIMIT_OUTBOX` while subscribers hold the channel's publishers up, and
   * what `channelFor` throws where the channel was removed.
   */
  ofServer(given: ServerChannel, payload: unknown, options: ChannelPublishOptions = {}): Published {
    const channel = this.#living(given);
    const { content, bytes } = encodePayload(payload, this.#context.settings.codec);
    if (this.#flows.has(channel) || (this.#flows.size > 0 && glutted(channel))) {
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
      blocked: flow !== undefined,
      ready: () => this.#flows.get(channel)?.ready() ?? Promise.resolve(),
    };
  }

  /** Offers to every subscriber; gives the flow when one of them holds the publishers up. */
  fanOut(
    channel: ServerChannel,
    publication: Publication,
    retain: boolean,
    now: number = this.#context.now(),
  ): Flow | undefined {
    const application = this.#context.applications.getApplication(channel.appId);
    if (application === undefined) return undefined;
    return this.#offer(publish(application, channel, publication, now, retain).channel, publication);
  }

  /** Is there a subscriber that can keep no more of the channel? Then the publisher is told, and this publish goes nowhere. */
  #refused(binding: Binding, channel: ServerChannel, frame: Frame, bytes: number): boolean {
    if (this.#flows.size === 0 || !glutted(channel)) return false;
    binding.consumed(bytes, this.#flows.get(channel));
    binding.peer.publishFailed(frame, glut(channel));
    return true;
  }

  #offer(channel: ServerChannel, offered: Publication | Burst): Flow | undefined {
    const { receivers } = channel;
    for (let i = 0; i < receivers.length; i += 1) {
      const receiver = receivers[i] as Subscriber;
      if (!receiver.offer(offered)) continue;
      this.#context.stats.slowConsumers += 1;
      receiver.holdUp(this.#flowOf(channel));
    }
    return this.#flows.size === 0 ? undefined : this.#flows.get(channel);
  }

  publication(channel: ServerChannel, content: number, payload: Uint8Array): Publication {
    return new Publication(channel, content, payload, 0, payload.length, false, this.#context);
  }

  /** Throws `REMOTE_FORBIDDEN` for a channel of the system, and what `channelFor` throws. */
  channelToPublish(application: ServerApplication, channelId: string): ServerChannel {
    if (channelId.startsWith('$')) {
      throw ipcError('REMOTE_FORBIDDEN', `${channelId} is a channel of the system; nobody publishes to it`);
    }
    return application.channelFor(channelId, this.#context.now());
  }

  /** A publish as it stands in what was received. */
  #received(channel: ServerChannel, frame: Frame): Publication {
    const { content, buffer, start, end } = frame;
    return new Publication(channel, content, buffer, start, end, framed(frame), this.#context);
  }

  #bound(binding: Binding): ServerChannel {
    if (binding.channel === undefined || binding.channel.removed) {
      binding.channel = this.channelToPublish(binding.peer.application, binding.name);
    }
    return binding.channel;
  }

  /** The channel of this name now. Throws what `channelFor` throws. */
  #living(channel: ServerChannel): ServerChannel {
    if (!channel.removed) return channel;
    const application = this.#context.applications.getApplication(channel.appId);
    return application?.channelFor(channel.channelId, this.#context.now()) ?? channel;
  }

  #flowOf(channel: ServerChannel): Flow {
    let flow = this.#flows.get(channel);
    if (flow === undefined) {
      flow = new Flow(() => this.#flows.delete(channel));
      this.#flows.set(channel, flow);
    }
    return flow;
  }

  #screenedPublish(
    given: ServerChannel,
    message: IncomingMessage,
    retain: boolean,
    done: (flow: Flow | undefined, error?: IPCError, receivers?: number) => void,
  ): void {
    const { connection } = message;
    const go = (error: IPCError | undefined): void => {
      if (error !== undefined) {
        done(undefined, error);
        return;
      }
      let channel: ServerChannel;
      try {
        // Middleware takes its time, and the channel may be gone.
        channel = this.#living(given);
      } catch (thrown) {
        done(undefined, thrown as IPCError);
        return;
      }
      const handler = channel.getHandler('publish');
      if (handler !== undefined) {
        observe(
          () => handler(message, connection),
          (fault) => this.#context.report(fault, connection),
        );
      }
      const publication = this.publication(channel, message.contentType, message.bytes);
      if (connection.protocol === 'json') publication.legacySource = message;
      done(this.fanOut(channel, publication, retain), undefined, channel.receivers.length);
    };
    screened(given, message, go, (fault) => this.#context.report(fault, connection));
  }
}

/** Does the frame stand in memory as it was sent? A body that came in pieces stands without its length. */
function framed({ start, extensions }: Frame): boolean {
  return start >= LENGTH_BYTES + HEADER_BYTES && extensions === undefined;
}

/** Do its publishes pass without anybody in the server having a look at them? */
function unseen(channel: ServerChannel): boolean {
  return channel.middleware.all().length === 0 && channel.getHandler('publish') === undefined;
}

/**
 * May all of it wait for every subscriber? Where it may not, who shares the room of one client, and what the
 * publisher is refused, has to be settled message by message.
 */
function roomFor({ receivers }: ServerChannel, { bytes }: Burst): boolean {
  return receivers.every(
    ({ connection }) => connection.outboxRoomBytes >= bytes * Math.min(receivers.length, connection.subscribers.size),
  );
}

/**
 * Credit given before anybody was behind may be more than a client's outboxes hold, and who comes anew has new
 * credit: where `block` can hold no more, the publisher is refused, so that nothing is lost without a word.
 */
function glutted(channel: ServerChannel): boolean {
  return channel.receivers.some(
    ({ policy, connection, waiting }) => policy === 'block' && waiting && connection.outboxRoomBytes <= 0,
  );
}

function glut({ channelId }: ServerChannel): IPCError {
  return ipcError('LIMIT_OUTBOX', `a subscriber of ${channelId} is as far behind as it may be`, {
    details: { channelId },
  });
}
