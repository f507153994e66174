// Puts the pieces of large bodies together again: one buffer of the announced size each, filled in place.

import { ipcError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { type Allocate, allocatePlain } from '../protocol/frame.ts';
import { FrameFlag, FrameType, HEADER_BYTES } from '../protocol/frame-types.ts';

interface Partial {
  readonly body: Uint8Array;
  filled: number;
}

export class Reassembly {
  readonly #partials = new Map<number, Partial>();
  readonly #allocate: Allocate;
  readonly #bytesMax: number;
  readonly #partialsMax: number;

  constructor(bytesMax: number, partialsMax: number, allocate: Allocate = allocatePlain) {
    this.#allocate = allocate;
    this.#bytesMax = bytesMax;
    this.#partialsMax = partialsMax;
  }

  /** Takes one FRAGMENT; gives the whole body with its last piece. */
  add(fragment: Frame): Uint8Array | undefined {
    const partial = (fragment.flags & FrameFlag.FIRST) !== 0 ? this.#begin(fragment) : this.#partials.get(fragment.id);
    if (partial === undefined) throw malformed(`piece of body ${fragment.id}, which was never begun`);
    const piece = fragment.payload;
    if (piece.length === 0) throw malformed(`empty piece of body ${fragment.id}`);
    if (partial.filled + piece.length > partial.body.length) {
      throw malformed(`body ${fragment.id} is longer than the ${partial.body.length} bytes announced`);
    }
    partial.body.set(piece, partial.filled);
    partial.filled += piece.length;
    if ((fragment.flags & FrameFlag.LAST) === 0) return undefined;
    this.#partials.delete(fragment.id);
    if (partial.filled !== partial.body.length) {
      throw malformed(`body ${fragment.id} ended after ${partial.filled} of ${partial.body.length} bytes`);
    }
    if (partial.body[0] === FrameType.FRAGMENT) throw malformed('a piece within a piece');
    return partial.body;
  }

  #begin(fragment: Frame): Partial {
    const total = fragment.value;
    if (total > this.#bytesMax) {
      throw ipcError(
        'LIMIT_MESSAGE_BYTES',
        `a message of ${total} bytes was announced, ${this.#bytesMax} are allowed`,
        {
          details: { bytes: total, bytesMax: this.#bytesMax },
        },
      );
    }
    if (total < HEADER_BYTES) throw malformed(`a body of ${total} bytes is shorter than the header`);
    if (this.#partials.has(fragment.id)) throw malformed(`body ${fragment.id} was begun twice`);
    if (this.#partials.size >= this.#partialsMax) {
      throw ipcError('LIMIT_MESSAGE_BYTES', `more than ${this.#partialsMax} messages in pieces at a time`, {
        details: { partialsMax: this.#partialsMax },
      });
    }
    const partial = { body: this.#allocate(total), filled: 0 };
    this.#partials.set(fragment.id, partial);
    return partial;
  }
}

function malformed(what: string) {
  return ipcError('PEER_MALFORMED_FRAME', `FRAGMENT: ${what}`);
}
