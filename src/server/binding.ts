// A channel as one native client refers to it: by a number of its own, with credit for what it publishes.

import { ReceiveCredit } from '../session/credit.ts';
import type { Flow, Owed } from './flow.ts';
import type { NativePublisher, ServerChannel } from './model.ts';

export class Binding implements Owed {
  readonly peer: NativePublisher;
  readonly number: number;
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
