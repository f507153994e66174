// What a connected client is and holds, whatever protocol it speaks.

import { type IPCError, ipcError } from '../base/errors.ts';
import type { Message } from '../protocol/messages.ts';
import type { PeerAddress } from '../transports/wire.ts';
import type {
  IncomingCall,
  IncomingMessage,
  Peer,
  PeerRequestOptions,
  ServerApplication,
  Subscriber,
} from './model.ts';
import { Rate } from './rate.ts';

/** Facts of a connection that were settled by its handshake. */
export interface PeerFacts {
  /** Issued by the server; never what the client says. */
  readonly id: string;
  /** What an old client calls itself; a label, trusted for nothing. */
  readonly label: string | undefined;
  readonly name: string | undefined;
  /** What `authenticate` returned. */
  readonly identity: unknown;
  readonly application: ServerApplication;
  /** Milliseconds since the epoch. */
  readonly connectedAt: number;
}

export abstract class BasePeer implements Peer {
  readonly id: string;
  readonly label: string | undefined;
  readonly name: string | undefined;
  readonly identity: unknown;
  readonly application: ServerApplication;
  readonly connectedAt: number;
  readonly address: PeerAddress;
  readonly protocol: 'native' | 'json';
  readonly #subscribers = new Set<Subscriber>();
  readonly rate = new Rate();
  readonly #outboxBytesMax: number;
  #outboxBytes = 0;
  data: unknown;

  constructor(facts: PeerFacts, address: PeerAddress, protocol: 'native' | 'json', outboxBytesMax: number) {
    this.id = facts.id;
    this.label = facts.label;
    this.name = facts.name;
    this.identity = facts.identity;
    this.application = facts.application;
    this.connectedAt = facts.connectedAt;
    this.address = address;
    this.protocol = protocol;
    this.#outboxBytesMax = outboxBytesMax;
    this.data = undefined;
  }

  get appId(): string {
    return this.application.appId;
  }

  get subscribers(): ReadonlySet<Subscriber> {
    return this.#subscribers;
  }

  get outboxBytes(): number {
    return this.#outboxBytes;
  }

  get outboxRoomBytes(): number {
    return this.#outboxBytesMax - this.#outboxBytes;
  }

  outboxGrew(bytes: number): void {
    this.#outboxBytes += bytes;
  }

  /** For what the server says of its own accord. Throws `LIMIT_OUTBOX` while the client does not read what it was told. */
  protected checkBacklog(): void {
    const { waitingBytes } = this;
    if (waitingBytes <= this.#outboxBytesMax) return;
    throw ipcError('LIMIT_OUTBOX', `connection ${this.id} does not read: ${waitingBytes} bytes wait for it`, {
      details: { connectionId: this.id, waitingBytes, outboxBytesMax: this.#outboxBytesMax },
    });
  }

  addSubscriber(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  removeSubscriber(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  flushSubscribers(): void {
    for (const subscriber of [...this.#subscribers]) {
      if (this.congested) return;
      if (!subscriber.waiting) continue;
      this.#subscribers.delete(subscriber);
      this.#subscribers.add(subscriber);
      subscriber.flush();
    }
  }

  abstract get lastActivity(): number;
  abstract get bytesIn(): number;
  abstract get bytesOut(): number;
  abstract get waitingBytes(): number;
  abstract get congested(): boolean;
  abstract get streamWindowBytes(): number;

  abstract notify(channelId: string, payload: unknown): void;
  abstract request(channelId: string, payload: unknown, options?: PeerRequestOptions): Promise<Message>;
  abstract close(error?: IPCError): void;

  abstract respond(request: IncomingMessage, content: number, bytes: Uint8Array): void;
  abstract fail(request: IncomingMessage, error: IPCError): void;
  abstract streamData(request: IncomingMessage, content: number, bytes: Uint8Array): void;
  abstract streamEnd(request: IncomingMessage): void;
  abstract track(request: IncomingMessage, call: IncomingCall): void;
  abstract answering(request: IncomingMessage): boolean;
  abstract callEnded(request: IncomingMessage): void;
}
