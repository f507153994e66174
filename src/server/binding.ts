// A channel as one native client refers to it: by a number of its own, with credit for what it publishes.

import { ReceiveCredit } from '../session/credit.ts';
import type { Flow, Owed } from './flow.ts';
import type { NativePublisher, ServerChannel } from './model.ts';

export class Binding implements Owed {
  readonly peer: NativePublisher;
  /** Another one after the client has named its channels anew. */
  number: number;
  readonly name: string;
  readonly credit: ReceiveCredit;
  channel: ServerChannel | undefined;
  /** Where this publisher waits for subscribers that are behind. */
  flow: Flow | undefined;
  #owedBytes = 0;

  constructor(peer: NativePublisher, number: number, name: string, windowBytes: number) {
    this.peer = peer;
    this.number = number;
    this.name = name;
    this.credit = new ReceiveCredit(windowBytes);
  }

  /** The message was taken; its credit goes back now, or when the flow allows. */
  consumed(bytes: number, flow: Flow | undefined): void {
    if (flow?.blocked === true) {
      this.#owedBytes += bytes;
      if (this.flow === flow) return;
      this.flow = flow;
      flow.owe(this);
      return;
    }
    const grant = this.credit.consume(bytes);
    if (grant > 0) this.peer.grantPublish(this.number, grant);
  }

  settle(): void {
    this.flow = undefined;
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    const grant = this.credit.consume(owed) + this.credit.settle();
    if (grant > 0) this.peer.grantPublish(this.number, grant);
  }
}

/** The channels of one native client by their numbers. */
export class Bindings {
  readonly #peer: NativePublisher;
  readonly #windowBytes: number;
  readonly #byNumber = new Map<number, Binding>();
  /** Of channels with publishes that were not dealt with when the client had its numbers forgotten. */
  readonly #heldUp = new Map<string, Binding>();
  #generation = 0;

  constructor(peer: NativePublisher, windowBytes: number) {
    this.#peer = peer;
    this.#windowBytes = windowBytes;
  }

  /** `generation` changes when the client gives all its numbers anew. */
  of(number: number, name: string, generation: number): Binding {
    if (generation !== this.#generation) this.#forget(generation);
    const known = this.#byNumber.get(number);
    if (known !== undefined) return known;
    const binding = this.#heldUp.get(name) ?? new Binding(this.#peer, number, name, this.#windowBytes);
    binding.number = number;
    this.#byNumber.set(number, binding);
    return binding;
  }

  /** The client is gone. */
  end(): void {
    for (const binding of this.#byNumber.values()) binding.flow?.forget(binding);
    for (const binding of this.#heldUp.values()) binding.flow?.forget(binding);
  }

  /**
   * Credit that subscribers hold back stays held back: it goes with the name, or new numbers would get round it.
   * On all other channels what is owed is granted on the old numbers, and credit begins anew.
   */
  #forget(generation: number): void {
    this.#generation = generation;
    for (const binding of this.#byNumber.values()) this.#heldUp.set(binding.name, binding);
    this.#byNumber.clear();
    for (const [name, binding] of this.#heldUp) {
      if (!binding.credit.idle) continue;
      this.#heldUp.delete(name);
      binding.settle();
    }
  }
}
