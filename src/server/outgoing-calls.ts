// The requests that the server has sent to one client and that are not answered yet, by their ids.

import type { IPCError } from '../base/errors.ts';
import type { OutgoingCall } from './outgoing-call.ts';

const ID_MAX = 0xffff_ffff;

export class OutgoingCalls {
  readonly #byId = new Map<number, OutgoingCall>();
  readonly #ended: (call: OutgoingCall) => void;
  #lastId = 0;

  /** `ended` is told of each call that leaves the table. */
  constructor(ended: (call: OutgoingCall) => void) {
    this.#ended = ended;
  }

  /** Gives the call an id that no other has. */
  add(call: OutgoingCall): void {
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
    while (this.#byId.has(this.#lastId));
    call.id = this.#lastId;
    this.#byId.set(call.id, call);
  }

  get(id: number): OutgoingCall | undefined {
    return this.#byId.get(id);
  }

  /** Takes it out: whoever does so first has the word. */
  take(id: number): OutgoingCall | undefined {
    const call = this.#byId.get(id);
    if (call === undefined) return undefined;
    this.#byId.delete(id);
    this.#ended(call);
    return call;
  }

  failAll(error: IPCError): void {
    for (const id of [...this.#byId.keys()]) this.take(id)?.fail(error);
  }
}
