// What a native client asks for by SUBSCRIBE, UNSUBSCRIBE, SERVE and UNSERVE: each is answered by OK or ERROR.

import { IPCError, ipcError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameType } from '../protocol/frame-types.ts';
import { readFields } from '../session/session.ts';
import { serveFields, subscribeFields } from './control-fields.ts';
import type { Hub } from './hub.ts';
import type { NativeReceiver } from './model.ts';
import { NativeSubscriber } from './subscriber.ts';

export class Operations {
  readonly #peer: NativeReceiver;
  readonly #hub: Hub;
  readonly #subscribers = new Map<number, NativeSubscriber>();
  readonly #served = new Map<number, string>();
  /** The other way round: a channel that is served anew has the new id alone. */
  readonly #servedIds = new Map<string, number>();

  constructor(peer: NativeReceiver, hub: Hub) {
    this.#peer = peer;
    this.#hub = hub;
  }

  /** The client takes more on one of its subscriptions. */
  grant(id: number, bytes: number): void {
    this.#subscribers.get(id)?.grant(bytes);
  }

  /** The subscription has been ended by the server. */
  forget(id: number): void {
    this.#subscribers.delete(id);
  }

  /** Throws what ends the connection; everything else is answered. */
  run(frame: Frame): void {
    try {
      switch (frame.type) {
        case FrameType.SUBSCRIBE:
          this.#subscribe(frame);
          return;
        case FrameType.UNSUBSCRIBE:
          this.#unsubscribe(frame);
          break;
        case FrameType.SERVE:
          this.#serve(frame);
          break;
        default:
          this.#unserve(frame);
      }
      this.#acknowledge(frame);
    } catch (thrown) {
      if (!(thrown instanceof IPCError) || thrown.code.startsWith('PEER_')) throw thrown;
      this.#peer.sendError(frame.id, 0, thrown);
    }
  }

  #acknowledge(frame: Frame): void {
    this.#peer.send(FrameType.OK, frame.id, 0, 0);
  }

  #subscribe(frame: Frame): void {
    const fields = subscribeFields(readFields(frame));
    if (frame.id === 0 || this.#subscribers.has(frame.id)) {
      const why = frame.id === 0 ? 'not valid' : 'in use';
      throw ipcError('PEER_UNEXPECTED_FRAME', `SUBSCRIBE with the id ${frame.id}, which is ${why}`);
    }
    const settings = this.#hub.subscriberSettings(this.#peer, fields);
    const subscriber = new NativeSubscriber(this.#peer, frame.id, fields.pattern, settings, frame.value);
    this.#hub.subscribe(this.#peer, subscriber, fields.retained, () => {
      this.#subscribers.set(frame.id, subscriber);
      this.#acknowledge(frame);
    });
  }

  #unsubscribe(frame: Frame): void {
    const subscriber = this.#subscribers.get(frame.value);
    if (subscriber === undefined) return;
    this.#subscribers.delete(frame.value);
    this.#hub.unsubscribe(this.#peer, subscriber);
  }

  #serve(frame: Frame): void {
    const { channel, maxInFlight } = serveFields(readFields(frame));
    this.#hub.serve(this.#peer, channel, maxInFlight);
    const before = this.#servedIds.get(channel);
    if (before !== undefined) this.#served.delete(before);
    this.#served.set(frame.id, channel);
    this.#servedIds.set(channel, frame.id);
  }

  #unserve(frame: Frame): void {
    const channel = this.#served.get(frame.value);
    if (channel === undefined) return;
    this.#served.delete(frame.value);
    this.#servedIds.delete(channel);
    this.#hub.unserve(this.#peer, channel);
  }
}
