// One subscription of one connection: hands deliveries to the connection while it can take them, and keeps
// the rest in its outbox, bounded, as the policy says.

import { type IPCError, ipcError } from '../base/errors.ts';
import { FrameType } from '../protocol/frame-types.ts';
import type { OutboxPolicy } from '../protocol/policies.ts';
import { SendCredit } from '../session/credit.ts';
import { writeFields } from '../session/session.ts';
import { Burst } from './burst.ts';
import type { Flow } from './flow.ts';
import type { LegacyReceiver, NativeReceiver, Peer, Subscriber } from './model.ts';
import { Outbox } from './outbox.ts';
import type { Deliverable } from './deliverable.ts';
import type { Publication } from './publication.ts';
import { Run } from './run.ts';

export interface SubscriberSettings {
  readonly policy: OutboxPolicy;
  readonly outboxBytesMax: number;
}

abstract class OutboxSubscriber implements Subscriber {
  abstract readonly connection: Peer;
  /** Channel name or pattern. */
  readonly filter: string;
  readonly policy: OutboxPolicy;
  readonly #outbox: Outbox;
  readonly #blocking = new Set<Flow>();
  #dropped = 0;
  #ended = false;

  /** `id` as for an outbox. */
  constructor(filter: string, settings: SubscriberSettings, id: number) {
    this.filter = filter;
    this.policy = settings.policy;
    this.#outbox = new Outbox(settings.policy, settings.outboxBytesMax, id);
  }

  /** Messages that were dropped for this subscription. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What waits for this subscription. */
  get waitingBytes(): number {
    return this.#outbox.bytes;
  }

  get waiting(): boolean {
    return !this.#outbox.idle;
  }

  /** Gives the message on or keeps it. True when the publishers of its channel must pause. */
  offer(offered: Publication | Burst): boolean {
    if (this.#ended) return false;
    if (offered instanceof Burst) return this.#offerBurst(offered);
    if (this.#outbox.idle && this.ready()) {
      this.write(offered);
      return false;
    }
    return this.#wait(offered);
  }

  /** Notes that publishers of this channel wait for this subscriber. */
  holdUp(flow: Flow): void {
    this.#blocking.add(flow);
    flow.block(this);
  }

  /** Writes what waits, as far as it goes; to be called whenever there may be room again. */
  flush(): void {
    const outbox = this.#outbox;
    while (!outbox.empty && this.ready()) {
      this.#tellLost();
      const waiting = outbox.take(this.creditBytes) as Publication | Run;
      this.connection.outboxGrew(-waiting.bytes);
      if (waiting instanceof Run) this.writeFrames(waiting);
      else this.write(waiting);
    }
    if (outbox.empty) this.#tellLost();
    // An empty one is not flushed again when the client has room.
    const goesOn = outbox.empty || (outbox.roomy && this.connection.outboxRoomBytes > 0);
    if (this.#blocking.size > 0 && goesOn) this.#release();
  }

  /** The subscription is over: nobody waits for it any more. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.connection.outboxGrew(-this.#outbox.bytes);
    this.#outbox.clear();
    this.#release();
  }

  abstract tellEnded(error: IPCError): void;

  /** Counts messages that this subscription does not get. */
  protected lose(count: number): void {
    this.#dropped += count;
  }

  /** How much may begin to leave. */
  protected abstract get creditBytes(): number;
  /** Whether deliveries are frames to it, which can be sent as they were received. */
  protected abstract readonly readsFrames: boolean;
  protected abstract ready(): boolean;
  protected abstract write(publication: Publication): void;
  protected abstract writeFrames(frames: Run | Burst): void;
  protected abstract writeLost(count: number): void;

  /** It leaves, or waits, as one where it can; what a policy has to choose from is offered one by one. */
  #offerBurst(burst: Burst): boolean {
    if (this.readsFrames && this.#outbox.idle && this.ready() && burst.bytes <= this.creditBytes) {
      this.writeFrames(burst);
      return false;
    }
    if (this.readsFrames && this.policy === 'block' && burst.bytes <= this.connection.outboxRoomBytes) {
      return this.#wait(burst);
    }
    let full = false;
    for (const publication of burst.publications) full = this.offer(publication);
    return full;
  }

  #wait(message: Publication | Burst): boolean {
    const { connection } = this;
    const before = this.#outbox.bytes;
    const offered =
      message instanceof Burst
        ? this.#outbox.offerBurst(message)
        : this.#outbox.offer(message, connection.outboxRoomBytes);
    connection.outboxGrew(this.#outbox.bytes - before);
    // What was lost is told before what comes next; nothing else keeps what could go out.
    if (this.ready()) {
      this.flush();
      // Of several messages, more may be left than should wait.
      return offered === 'full' && this.#outbox.full;
    }
    if (offered === 'overflow') {
      connection.close(
        ipcError('LIMIT_OUTBOX', `subscription ${this.filter}: the outbox is full, and its policy is to disconnect`),
      );
    }
    // What comes next would be lost, where the client as a whole has no room for it.
    return offered === 'full' || (this.policy === 'block' && connection.outboxRoomBytes <= 0);
  }

  #tellLost(): void {
    if (!this.#outbox.hasLost) return;
    const lost = this.#outbox.takeLost();
    this.lose(lost);
    this.writeLost(lost);
  }

  #release(): void {
    const flows = [...this.#blocking];
    this.#blocking.clear();
    for (const flow of flows) flow.unblock(this);
  }
}

/** A subscription of a native client: it may have credit, and its deliveries carry its id. */
export class NativeSubscriber extends OutboxSubscriber {
  readonly connection: NativeReceiver;
  readonly id: number;
  protected override readonly readsFrames = true;
  readonly #credit: SendCredit | undefined;

  constructor(
    connection: NativeReceiver,
    id: number,
    filter: string,
    settings: SubscriberSettings,
    creditBytes: number,
  ) {
    super(filter, settings, id);
    this.connection = connection;
    this.id = id;
    this.#credit = creditBytes > 0 ? new SendCredit(creditBytes) : undefined;
  }

  grant(bytes: number): void {
    this.#credit?.grant(bytes);
    this.flush();
  }

  override tellEnded(error: IPCError): void {
    this.connection.subscriptionEnded(this.id, error);
  }

  protected override ready(): boolean {
    return (this.#credit === undefined || this.#credit.open) && !this.connection.congested;
  }

  protected override get creditBytes(): number {
    return this.#credit === undefined ? Number.POSITIVE_INFINITY : this.#credit.availableBytes;
  }

  protected override write(publication: Publication): void {
    this.#deliver(publication);
  }

  protected override writeFrames(frames: Run | Burst): void {
    this.#deliver(frames);
  }

  #deliver(deliverable: Deliverable): void {
    this.connection.declareOnce(deliverable.topic.number, deliverable.topic.channelId);
    this.#credit?.spend(deliverable.bytes);
    this.connection.deliver(deliverable, this.id);
  }

  protected override writeLost(count: number): void {
    this.connection.send(FrameType.LOST, this.id, 0, count, writeFields({ cause: this.policy }));
  }
}

/** A subscription of an old client: no credit, no ids, one JSON body for all of them. */
export class LegacySubscriber extends OutboxSubscriber {
  readonly connection: LegacyReceiver;
  protected override readonly readsFrames = false;

  constructor(connection: LegacyReceiver, filter: string, settings: SubscriberSettings) {
    super(filter, settings, 0);
    this.connection = connection;
  }

  protected override get creditBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected override ready(): boolean {
    return !this.connection.congested;
  }

  protected override write(publication: Publication): void {
    const body = publication.legacyBody;
    if (body === null) this.lose(1);
    else this.connection.sendBody(body);
  }

  // Only what has a number stands as a DELIVERY.
  protected override writeFrames(): void {}

  // The old protocol has no word for it; the count shows in `dropped`.
  protected override writeLost(): void {}

  // As the original: a subscriber of a channel that is removed hears nothing any more.
  override tellEnded(): void {}
}
