// Several publishes of one client on one channel that stand one behind the other in what was received, alike but
// for their payloads: forwarded at once, where nobody has to see them one by one.

import { readUint32, writeHeader } from '../protocol/codec.ts';
import { FrameType, HEADER_BYTES, LENGTH_BYTES } from '../protocol/frame-types.ts';
import { COPY_BYTES_MAX, type FrameWriter } from '../session/frame-writer.ts';
import { SLAB_BYTES } from '../session/slab-pool.ts';
import type { Deliverable, Topic } from './deliverable.ts';
import { type Labels, Publication } from './publication.ts';
import { Run } from './run.ts';

/** So much is dealt with at once: with their lengths, many small bodies fit into a slab. */
export const BURST_BYTES_MAX = SLAB_BYTES / 2;

/** Whose DELIVERY the frames are is told by a subscription id, which is never one of these. */
const NOBODYS = 0;
const IN_PARTS = -1;

export class Burst implements Deliverable {
  readonly topic: Topic;
  readonly count: number;
  readonly bytes: number;
  readonly #content: number;
  readonly #labels: Labels;
  #memory: Uint8Array;
  #start: number;
  #end: number;
  #deliveryId = NOBODYS;
  #publications: readonly Publication[] | undefined;

  /** `count` PUBLISH frames, each with its length before it, in `memory[start, end)`, which is ours. */
  constructor(
    topic: Topic,
    content: number,
    count: number,
    memory: Uint8Array,
    start: number,
    end: number,
    labels: Labels,
  ) {
    this.topic = topic;
    this.count = count;
    this.bytes = end - start - count * LENGTH_BYTES;
    this.#content = content;
    this.#labels = labels;
    this.#memory = memory;
    this.#start = start;
    this.#end = end;
  }

  /** The memory that the frames stand in. */
  get buffer(): ArrayBufferLike {
    return this.#memory.buffer;
  }

  /** One by one, for those who must see them so. */
  get publications(): readonly Publication[] {
    this.#publications ??= this.#apart();
    return this.#publications;
  }

  deliver(writer: FrameWriter, id: number): void {
    if (!writer.cutting && this.#rewritten(id)) {
      writer.lend(this.#memory, this.#start, this.#end);
    } else if (writer.cutting || this.bytes > this.count * COPY_BYTES_MAX) {
      // Some may have to wait behind a large body, or are too large to be copied.
      for (const one of this.publications) one.deliver(writer, id);
    } else {
      const { slab, at } = writer.copy(this.#memory, this.#start, this.#end);
      this.#direct(slab, at, id);
    }
  }

  /** Stands in one piece with what waits for the same subscription; false when it does not. */
  join(run: Run): boolean {
    return this.#rewritten(run.id) && run.extend(this.topic, this.#memory, this.#start, this.#end, this.count);
  }

  /** What can wait for this subscription; a copy where the frames are for another one already. */
  asRun(id: number): Run {
    if (this.#rewritten(id)) return new Run(this.topic, id, this.#memory, this.#start, this.#end, this.count);
    const copy = this.#copied();
    this.#direct(copy, 0, id);
    return new Run(this.topic, id, copy, 0, copy.length, this.count);
  }

  /** Makes it independent of the larger buffer that it arrived in. */
  detach(): void {
    if ((this.#end - this.#start) * 2 >= this.#memory.buffer.byteLength) return;
    this.#memory = this.#copied();
    this.#start = 0;
    this.#end = this.#memory.length;
    this.#deliveryId = NOBODYS;
  }

  #copied(): Uint8Array {
    // Not `slice`: on a Buffer that is a view.
    return Uint8Array.prototype.slice.call(this.#memory, this.#start, this.#end);
  }

  #apart(): readonly Publication[] {
    const ours = this.#deliveryId === NOBODYS;
    this.#deliveryId = IN_PARTS;
    const publications: Publication[] = [];
    for (let at = this.#start; at < this.#end; ) {
      const start = at + LENGTH_BYTES;
      at = start + readUint32(this.#memory, at);
      publications.push(
        new Publication(this.topic, this.#content, this.#memory, start + HEADER_BYTES, at, ours, this.#labels),
      );
    }
    return publications;
  }

  /** As a single publication is made the DELIVERY for the first who takes it: see `Publication`. */
  #rewritten(id: number): boolean {
    if (this.#deliveryId === id) return true;
    if (this.#deliveryId !== NOBODYS) return false;
    this.#direct(this.#memory, this.#start, id);
    this.#deliveryId = id;
    return true;
  }

  /** Makes the frames, which stand at `at` here, deliveries for this subscription. */
  #direct(memory: Uint8Array, at: number, id: number): void {
    const { number } = this.topic;
    for (let left = this.count; left > 0; left -= 1) {
      const start = at + LENGTH_BYTES;
      at = start + readUint32(memory, at);
      writeHeader(memory, start, FrameType.DELIVERY, 0, this.#content, id, number, 0);
    }
  }
}
