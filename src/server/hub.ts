// What clients ask for meets the broker here, whatever protocol they speak: publishes fan out, requests
// find who answers them, subscriptions come and go. Peers translate; this file does.

import { ipcError, type IPCError } from '../base/errors.ts';
import { Applications } from '../broker/applications.ts';
import type { Outlet, Subscribed } from '../broker/channel.ts';
import type { PresenceEvent } from '../broker/presence.ts';
import { publish, resolveRequest } from '../broker/router.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameFlag } from '../protocol/frame-types.ts';
import { encodePayload } from '../protocol/payload.ts';
import { Deadlines } from '../session/deadlines.ts';
import { answer, type RunningCall } from './answer.ts';
import type { SubscribeFields, WillFields } from './control-fields.ts';
import { Flow } from './flow.ts';
import { ForwardedCall } from './forwarded-call.ts';
import { ServerMessage } from './message.ts';
import type { Binding, NativePeer } from './native-peer.ts';
import type { ServerSettings } from './options.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import type { Peer } from './peer.ts';
import { announcePresence } from './presence-channel.ts';
import { Publication } from './publication.ts';
import { ServerStats } from './stats.ts';
import type { Subscriber, SubscriberSettings } from './subscriber.ts';
import { systemHandler, SYSTEM_CHANNEL } from './system-channel.ts';
import type { Published, PublishOptions, ServerApplication, ServerBroker, ServerChannel } from './types.ts';

/** What the hub asks of the server around it. */
export interface HubOutside {
  /** Milliseconds, monotonic, at the accuracy of a turn. */
  clock(): number;
  /** Deadlines were added: the clock that expires them must run. */
  keepTime(): void;
  /** A peer is gone, and everything it held. */
  left(peer: Peer, error: IPCError): void;
  /** Something went wrong that concerns no single caller. */
  report(error: Error, peer: Peer | undefined): void;
}

export class Hub {
  readonly options: ServerSettings;
  readonly stats = new ServerStats();
  readonly deadlines = new Deadlines<RunningCall | OutgoingCall>();
  readonly applications: Applications<ServerBroker>;
  readonly #outside: HubOutside;
  readonly #flows = new Map<ServerChannel, Flow>();
  readonly #epochOffsetMs: number;
  #messageNumber = 0;
  #draining = false;
  #drained: (() => void) | undefined;

  constructor(options: ServerSettings, outside: HubOutside) {
    this.options = options;
    this.#outside = outside;
    this.#epochOffsetMs = Date.now() - outside.clock();
    const outlet: Outlet<ServerBroker> = {
      now: () => this.now(),
      keep: (message) => this.#keep(message),
      publish: (channel, payload, publishOptions) => this.publish(channel, payload, publishOptions),
      channelRemoved: (removed) => {
        for (const subscriber of removed.subscribers) this.#ended(subscriber);
        for (const call of removed.unanswered) call.lost();
        this.#announce(removed.presence);
      },
    };
    this.applications = new Applications(outlet, {
      applicationsMax: options.applicationsMax,
      autoCreate: options.autoCreate,
      application: { ...options.application, subscriptionsMax: options.limits.subscriptionsMax },
    });
  }

  clock(): number {
    return this.#outside.clock();
  }

  keepTime(): void {
    this.#outside.keepTime();
  }

  /** A moment of the monotonic clock as milliseconds since the epoch. */
  toEpoch(moment: number): number {
    return moment + this.#epochOffsetMs;
  }

  now(): number {
    return this.toEpoch(this.clock());
  }

  // --- Publish

  /** A PUBLISH of a native client. Without middleware, handler and last value no message object is made. */
  published(peer: NativePeer, binding: Binding, frame: Frame, bytes: number, now: number): void {
    let channel: ServerChannel;
    try {
      channel = this.#bound(binding);
    } catch (thrown) {
      binding.consumed(bytes, undefined);
      peer.publishFailed(frame, thrown as IPCError);
      return;
    }
    const retain = (frame.flags & FrameFlag.RETAIN) !== 0 || channel.settings.retain;
    const plain = !retain && channel.middleware.all().length === 0 && channel.getHandler('publish') === undefined;
    if (plain) {
      const flow = this.#fanOut(channel, this.#publication(channel, frame.content, frame.payload), false);
      binding.consumed(bytes, flow);
      if (frame.id !== 0) peer.publishDone(frame, channel.receivers.length);
      return;
    }
    const message = peer.publishMessage(frame, now);
    const go = (error: IPCError | undefined): void => {
      const flow = error === undefined ? this.#deliver(channel, message, frame.content, frame.payload, retain) : undefined;
      binding.consumed(bytes, flow);
      if (error !== undefined) peer.publishFailed(frame, error);
      else if (frame.id !== 0) peer.publishDone(frame, channel.receivers.length);
    };
    this.#screened(channel, message, go);
  }

  /** A publish of an old client, or of anybody whose message object exists already. */
  publishMessage(message: ServerMessage, done: (flow: Flow | undefined, error?: IPCError) => void): void {
    let channel: ServerChannel;
    try {
      channel = this.#publishable(message.connection.application, message.channelId);
    } catch (thrown) {
      done(undefined, asIpc(thrown as Error));
      return;
    }
    this.#screened(channel, message, (error) => {
      if (error !== undefined) done(undefined, error);
      else done(this.#deliver(channel, message, message.contentType, message.bytes, channel.settings.retain));
    });
  }

  /** The server's own publish. */
  publish(channel: ServerChannel, payload: unknown, publishOptions: PublishOptions = {}): Published {
    const { content, bytes } = encodePayload(payload, this.options.codec);
    const blocked = this.#flows.get(channel);
    if (blocked?.blocked === true) {
      throw ipcError('LIMIT_OUTBOX', `subscribers of ${channel.channelId} are behind; await ready() of the publish before`, {
        details: { channelId: channel.channelId },
      });
    }
    const retain = publishOptions.retain ?? channel.settings.retain;
    const flow = this.#fanOut(channel, this.#publication(channel, content, bytes), retain);
    return {
      receivers: channel.receivers.length,
      blocked: flow?.blocked === true,
      ready: () => flow?.ready() ?? Promise.resolve(),
    };
  }

  #deliver(channel: ServerChannel, message: ServerMessage, content: number, payload: Uint8Array, retain: boolean): Flow | undefined {
    const handler = channel.getHandler('publish');
    if (handler !== undefined) this.#observe(() => handler(message, message.connection), message.connection);
    return this.#fanOut(channel, this.#publication(channel, content, payload), retain);
  }

  /** Offers to every subscriber; gives the flow when one of them holds the publishers up. */
  #fanOut(channel: ServerChannel, publication: Publication, retain: boolean): Flow | undefined {
    const application = this.applications.getApplication(channel.appId);
    if (application === undefined) return undefined;
    const { receivers } = publish(application, channel, publication, this.now(), retain);
    let flow = this.#flows.get(channel);
    for (let i = 0; i < receivers.length; i += 1) {
      const receiver = receivers[i] as Subscriber;
      if (!receiver.offer(publication)) continue;
      if (flow === undefined) {
        flow = new Flow();
        this.#flows.set(channel, flow);
      }
      this.stats.slowConsumers += 1;
      receiver.holdUp(flow);
    }
    if (flow !== undefined && flow.idle) {
      this.#flows.delete(channel);
      return undefined;
    }
    return flow;
  }

  #publication(channel: ServerChannel, content: number, payload: Uint8Array): Publication {
    return new Publication(channel.number, channel.channelId, content, payload, channel.appId, this);
  }

  #keep(publication: Publication): { message: Publication; bytes: number } {
    publication.detach();
    return { message: publication, bytes: publication.bytes };
  }

  /** An id for a message that never had one: unique for this run of the server. */
  messageId(): string {
    this.#messageNumber += 1;
    return `${this.options.serverId}-${this.#messageNumber}`;
  }

  // --- Request and notification

  requested(binding: Binding, request: ServerMessage, now: number): void {
    const { channel } = binding;
    // The hot path: a living channel with a handler and nothing in between.
    if (channel !== undefined && !channel.removed && !this.#draining && channel.middleware.all().length === 0) {
      const handler = channel.getHandler('request');
      if (handler !== undefined) {
        answer(request, handler, this.options.codec, (call) => this.#track(call));
        return;
      }
    }
    this.request(request, now);
    binding.channel ??= request.connection.application.getChannel(binding.name);
  }

  /** Finds who answers, and lets him. */
  request(request: ServerMessage, now: number): void {
    const peer = request.connection;
    if (this.#draining) {
      peer.fail(request, ipcError('REMOTE_DRAINING', 'the server is stopping and takes no new requests'));
      return;
    }
    const { application } = peer;
    application.updateActivity(this.toEpoch(now));
    const channel = application.getChannel(request.channelId);
    if (channel === undefined) {
      this.#route(request);
      return;
    }
    this.#screened(channel, request, (error) => {
      if (error === undefined) this.#route(request);
      else peer.fail(request, error);
    });
  }

  #route(request: ServerMessage): void {
    const peer = request.connection;
    const channel = peer.application.getChannel(request.channelId);
    if (request.channelId === SYSTEM_CHANNEL && channel?.getHandler('request') === undefined) {
      answer(request, systemHandler, this.options.codec, (call) => this.#track(call));
      return;
    }
    // Only a worker ever holds the call; for all else it is thrown away.
    const call = channel === undefined || channel.workers.size === 0 ? undefined : new ForwardedCall(request, channel);
    const route = resolveRequest(peer.application, request.channelId, call ?? (NO_CALL as ForwardedCall));
    switch (route.kind) {
      case 'handler':
        answer(request, route.handler, this.options.codec, (running) => this.#track(running));
        break;
      case 'worker':
        this.#forward(call as ForwardedCall, route.connection as NativePeer);
        break;
      default:
        peer.fail(request, ipcError(route.code, route.message, { details: { channelId: request.channelId } }));
    }
  }

  #forward(call: ForwardedCall, worker: NativePeer): void {
    const { request } = call;
    const leftMs = request.deadline === undefined ? 0 : Math.max(1, Math.ceil(request.deadline - this.now()));
    try {
      worker.sendCall(call, request.channelId, request.contentType, request.bytes, leftMs, request.takesStream);
    } catch (thrown) {
      call.fail(thrown as IPCError);
      return;
    }
    call.given(worker);
    this.#track(call);
  }

  /** The call goes on after this turn: it can be cancelled, and its deadline is watched. */
  #track(call: RunningCall | ForwardedCall): void {
    const { request } = call;
    request.connection.track(request, call);
    this.stats.requestsOpen += 1;
    if (request.deadline === undefined) return;
    // A forwarded call is watched on the caller's account; its own entry there would be a second one.
    this.deadlines.add(call, request.deadline - this.#epochOffsetMs);
    this.#outside.keepTime();
  }

  report(error: Error, peer: Peer | undefined): void {
    this.#outside.report(error, peer);
  }

  /** Throws `LIMIT_RATE` when the client sends more than it may. */
  checkRate(peer: Peer, messages: number, now: number): void {
    if (this.options.messagesPerSecondMax > 0) peer.rate.spend(messages, now, this.options.messagesPerSecondMax);
  }

  /** Ends the calls whose time is over. */
  expire(): void {
    for (const call of this.deadlines.expire(this.clock())) {
      const error = ipcError('TIME_OUT', 'the deadline of the request has passed');
      if ('request' in call) call.abandon(error);
      else call.fail(error);
    }
  }

  callEnded(): void {
    this.stats.requestsOpen -= 1;
    if (this.stats.requestsOpen === 0) this.#drained?.();
  }

  notified(message: ServerMessage, now: number): void {
    const peer = message.connection;
    let channel: ServerChannel;
    try {
      channel = peer.application.channelFor(message.channelId, this.toEpoch(now));
    } catch (thrown) {
      this.#outside.report(thrown as Error, peer);
      return;
    }
    this.#screened(channel, message, (error) => {
      const handler = channel.getHandler('notification');
      if (error !== undefined) this.#outside.report(error, peer);
      else if (handler !== undefined) this.#observe(() => handler(message, peer), peer);
    });
  }

  // --- Subscriptions

  subscriberSettings(peer: Peer, fields: Pick<SubscribeFields, 'pattern' | 'policy' | 'outboxBytesMax'>): SubscriberSettings {
    const settings = peer.application.getChannel(fields.pattern)?.settings ?? peer.application.settings.channelDefaults;
    const asked = fields.outboxBytesMax ?? settings.outboxBytesMax;
    return { policy: fields.policy ?? settings.policy, outboxBytesMax: Math.min(asked, this.options.outboxBytesMax) };
  }

  /** `acknowledge` runs between the beginning of the subscription and its first delivery. */
  subscribe(peer: Peer, subscriber: Subscriber, retained: boolean, acknowledge: () => void): void {
    const subscribed: Subscribed<ServerBroker> = peer.application.subscribe(subscriber.filter, subscriber, this.now());
    peer.addSubscriber(subscriber);
    acknowledge();
    if (retained) for (const { message } of subscribed.retained) subscriber.offerRetained(message);
    if (subscribed.presence !== undefined) this.#announce([subscribed.presence]);
    const handler = subscribed.channel?.getHandler('subscribe');
    if (handler !== undefined) this.#observe(() => handler(this.#notice(peer, 'subscribe', subscriber.filter), peer), peer);
  }

  unsubscribe(peer: Peer, subscriber: Subscriber): void {
    const { removed, presence } = peer.application.unsubscribe(subscriber, this.now());
    this.#ended(subscriber);
    if (presence !== undefined) this.#announce([presence]);
    const handler = removed ? peer.application.getChannel(subscriber.filter)?.getHandler('unsubscribe') : undefined;
    if (handler !== undefined) this.#observe(() => handler(this.#notice(peer, 'unsubscribe', subscriber.filter), peer), peer);
  }

  serve(peer: NativePeer, channelId: string, maxInFlight: number): void {
    peer.application.serve(channelId, peer, maxInFlight, this.now());
  }

  unserve(peer: NativePeer, channelId: string): void {
    // What it has taken it may still answer; the calls stay in its table.
    peer.application.unserve(channelId, peer);
  }

  // --- Come and go

  joined(peer: Peer, will: WillFields | undefined): void {
    const { id, name, identity, application } = peer;
    const event = application.join(peer, { connectionId: id, name, identity }, this.now());
    if (will !== undefined) {
      const channel = application.channelFor(will.channel, this.now());
      const message = this.#publication(channel, will.content, will.payload);
      message.detach();
      application.presence.setWill(peer, { channelId: will.channel, message });
    }
    if (event !== undefined) this.#announce([event]);
  }

  left(peer: Peer, goodbye: boolean, error: IPCError): void {
    const { presence, will, subscribers, unanswered } = peer.application.leave(peer, goodbye, this.now());
    for (const subscriber of subscribers) this.#ended(subscriber);
    for (const call of unanswered) call.lost();
    this.#announce(presence);
    if (will !== undefined) this.#sayWill(peer.application, will.channelId, will.message);
    this.#outside.left(peer, error);
  }

  /** Resolves when no request is open any more; new ones are refused from now on. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.stats.requestsOpen === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  channelNumber(application: ServerApplication, channelId: string): number {
    return application.channelFor(channelId, this.now()).number;
  }

  #sayWill(application: ServerApplication, channelId: string, will: Publication): void {
    const channel = application.getChannel(channelId);
    if (channel !== undefined) this.#fanOut(channel, this.#publication(channel, will.content, will.payload), channel.settings.retain);
  }

  #bound(binding: Binding): ServerChannel {
    const { channel } = binding;
    if (channel !== undefined && !channel.removed) return channel;
    binding.channel = this.#publishable(binding.peer.application, binding.name);
    return binding.channel;
  }

  #publishable(application: ServerApplication, channelId: string): ServerChannel {
    if (channelId.startsWith('$')) {
      throw ipcError('REMOTE_FORBIDDEN', `${channelId} is a channel of the system; nobody publishes to it`);
    }
    return application.channelFor(channelId, this.now());
  }

  #ended(subscriber: Subscriber): void {
    subscriber.end();
    subscriber.connection.removeSubscriber(subscriber);
  }

  #announce(events: readonly PresenceEvent<Peer>[]): void {
    for (const event of events) {
      announcePresence(event, (channel, payload) => {
        const { content, bytes } = encodePayload(payload);
        this.#fanOut(channel, this.#publication(channel, content, bytes), false);
      });
    }
  }

  #notice(peer: Peer, type: 'subscribe' | 'unsubscribe', channelId: string): ServerMessage {
    return new ServerMessage(peer, type, channelId, undefined, undefined, this.messageId(), this.now(), undefined, false, undefined);
  }

  /** Runs middleware; at once where none of it is asynchronous. */
  #screened(channel: ServerChannel, message: ServerMessage, go: (error: IPCError | undefined) => void): void {
    const verdict = channel.middleware.run(message, message.connection);
    if (verdict instanceof Promise) void verdict.then((error) => go(asIpc(error)));
    else go(asIpc(verdict));
  }

  /** Runs a handler whose result nobody waits for. */
  #observe(run: () => unknown, peer: Peer): void {
    const failed = (thrown: unknown): void => {
      this.stats.errors += 1;
      this.#outside.report(thrown instanceof Error ? thrown : new Error(String(thrown)), peer);
    };
    try {
      const result = run();
      if (result instanceof Promise) result.catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }
}

/** Stands for a call where there is no worker who could hold one. */
const NO_CALL = {};

function asIpc(error: Error | undefined): IPCError | undefined {
  if (error === undefined) return undefined;
  return 'code' in error && 'retry' in error
    ? (error as IPCError)
    : ipcError('REMOTE_HANDLER_FAILED', `middleware threw: ${error.message}`, { cause: error });
}
