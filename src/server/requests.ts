// The way of a request through the server: screened, routed to a handler or a worker, watched until it
// ends. Every request ends: answered, failed, cancelled, out of time, or its connection gone.

import { ipcError, type IPCError } from '../base/errors.ts';
import { TO_OLD } from '../protocol/old-payload.ts';
import { resolveRequest } from '../broker/router.ts';
import { Deadlines } from '../session/deadlines.ts';
import { answer, RunningCall } from './answer.ts';
import type { Binding } from './binding.ts';
import type { Context } from './context.ts';
import { ForwardedCall } from './forwarded-call.ts';
import type { Handler, IncomingCall, IncomingMessage, ServerChannel, Worker } from './model.ts';
import type { OutgoingCall } from './outgoing-call.ts';
import { observe, screened } from './screening.ts';
import { SYSTEM_CHANNEL, systemHandler } from './system-channel.ts';

export class Requests {
  readonly #context: Context;
  readonly #deadlines = new Deadlines<IncomingCall | OutgoingCall>();
  #draining = false;
  #drained: (() => void) | undefined;
  readonly #spared = new Set<IncomingMessage>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** A request on a channel that the client has named before. */
  ofBinding(binding: Binding, request: IncomingMessage, now: number): void {
    const { channel } = binding;
    // The hot path: a living channel with a handler and nothing in between.
    if (channel !== undefined && !channel.removed && !this.#draining && channel.middleware.all().length === 0) {
      const handler = channel.getHandler('request');
      if (handler !== undefined) {
        this.#answer(request, handler);
        return;
      }
    }
    this.take(request, now);
    binding.channel ??= request.connection.application.getChannel(binding.name);
  }

  /** Finds who answers, and lets him. */
  take(request: IncomingMessage, now: number): void {
    const peer = request.connection;
    if (this.#draining) {
      peer.fail(request, ipcError('REMOTE_DRAINING', 'the server is stopping and takes no new requests'));
      return;
    }
    const { application } = peer;
    application.updateActivity(this.#context.toEpoch(now));
    const channel = application.getChannel(request.channelId);
    // What the server answers itself, and errors, are screened by the outer middleware all the same.
    const screen = channel ?? application;
    const screening: { call: RunningCall | undefined } = { call: undefined };
    const later = screened(
      screen,
      request,
      (error) => {
        if (screening.call?.ended === true) return;
        // One request, first at the middleware's and then at the handler's: never none in between.
        this.#context.stats.requestsOpen += 1;
        screening.call?.end();
        if (error === undefined) this.#route(request);
        else peer.fail(request, error);
        this.ended();
      },
      (fault) => this.#context.report(fault, peer),
    );
    if (!later) return;
    // What middleware thinks about counts, can be cancelled and times out like what a handler does.
    screening.call = new RunningCall(request);
    this.#track(screening.call);
  }

  notified(message: IncomingMessage, now: number): void {
    const peer = message.connection;
    const failed = (error: Error): void => this.#context.report(error, peer);
    let channel: ServerChannel;
    try {
      channel = peer.application.channelFor(message.channelId, this.#context.toEpoch(now));
    } catch (thrown) {
      failed(thrown as Error);
      return;
    }
    const go = (error: IPCError | undefined): void => {
      const handler = channel.getHandler('notification');
      if (error !== undefined) failed(error);
      else if (handler !== undefined) observe(() => handler(message, peer), failed);
    };
    screened(channel, message, go, failed);
  }

  /** Watches a call's time: it is failed when `dueAt` on the monotonic clock has passed. */
  watch(call: IncomingCall | OutgoingCall, dueAt: number): void {
    this.#deadlines.add(call, dueAt);
    this.#context.keepTime();
  }

  unwatch(call: IncomingCall | OutgoingCall): void {
    this.#deadlines.remove(call);
  }

  /** Ends the calls whose time is over. False when none is left to watch. */
  expire(): boolean {
    for (const call of this.#deadlines.expire(this.#context.clock())) {
      const error = ipcError('TIME_OUT', 'the deadline of the request has passed');
      if ('request' in call) call.abandon(error);
      else call.fail(error);
    }
    return this.#deadlines.size > 0;
  }

  ended(): void {
    this.#context.stats.requestsOpen -= 1;
    if (this.#drained !== undefined) this.#lookDrained();
  }

  /** Resolves when no request is open any more; new ones are refused from now on. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#lookDrained();
    });
  }

  /** This request waits for the end itself: it is not waited for. */
  spare(request: IncomingMessage): void {
    this.#spared.add(request);
    this.#lookDrained();
  }

  #lookDrained(): void {
    let spared = 0;
    for (const request of this.#spared) if (request.connection.answering(request)) spared += 1;
    if (this.#context.stats.requestsOpen <= spared) this.#drained?.();
  }

  #route(request: IncomingMessage): void {
    const peer = request.connection;
    const channel = peer.application.getChannel(request.channelId);
    if (request.channelId === SYSTEM_CHANNEL && channel?.getHandler('request') === undefined) {
      this.#answer(request, systemHandler);
      return;
    }
    const call = new ForwardedCall(request, channel, this.#context.settings.limits.streamWindowBytes);
    const route = resolveRequest(peer.application, request.channelId, call);
    switch (route.kind) {
      case 'handler':
        this.#answer(request, route.handler);
        break;
      case 'worker':
        this.#forward(call, route.connection as Worker);
        break;
      default:
        peer.fail(request, ipcError(route.code, route.message, { details: { channelId: request.channelId } }));
    }
  }

  #answer(request: IncomingMessage, handler: Handler): void {
    const codec = request.connection.protocol === 'json' ? TO_OLD : this.#context.settings.codec;
    answer(request, handler, codec, (call) => this.#track(call));
  }

  #forward(call: ForwardedCall, worker: Worker): void {
    const { request } = call;
    const leftMs = request.deadline === undefined ? 0 : Math.max(1, Math.ceil(request.deadline - this.#context.now()));
    // Tracked first: whatever ends the call finds it in the tables.
    this.#track(call);
    try {
      worker.sendCall(call, request.channelId, request.contentType, request.bytes, leftMs, request.takesStream);
      call.given(worker);
    } catch (thrown) {
      call.fail(thrown as IPCError);
    }
  }

  /** The call goes on after this turn: it can be cancelled, and its deadline is watched. */
  #track(call: IncomingCall): void {
    const { request } = call;
    request.connection.track(request, call);
    this.#context.stats.requestsOpen += 1;
    if (request.deadline !== undefined) this.watch(call, this.#context.toClock(request.deadline));
  }
}
