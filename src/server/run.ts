// Deliveries that wait for one subscriber and stand one behind the other in what was received. Nobody needs
// to tell them apart before they leave, so a queue of many small messages is a few of these.

import { decodeFrame, readUint32 } from '../protocol/codec.ts';
import { LENGTH_BYTES } from '../protocol/frame-types.ts';
import type { FrameWriter } from '../session/frame-writer.ts';
import type { Deliverable, Topic } from './deliverable.ts';

export class Run implements Deliverable {
  readonly topic: Topic;
  /** The subscription that the frames are for. */
  readonly id: number;
  #memory: Uint8Array;
  #start: number;
  #end: number;
  #count: number;

  /** Frames, each with its length before it, in `memory[start, end)`. */
  constructor(topic: Topic, id: number, memory: Uint8Array, start: number, end: number, count = 1) {
    this.topic = topic;
    this.id = id;
    this.#memory = memory;
    this.#start = start;
    this.#end = end;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#end - this.#start - this.#count * LENGTH_BYTES;
  }

  get buffer(): ArrayBufferLike {
    return this.#memory.buffer;
  }

  /** Takes more frames up; false when they do not stand right behind. */
  extend(topic: Topic, memory: Uint8Array, start: number, end: number, count = 1): boolean {
    if (memory !== this.#memory || start !== this.#end || topic !== this.topic) return false;
    this.#end = end;
    this.#count += count;
    return true;
  }

  /** Parts with as many frames as begin within so many bytes; undefined when that is all of them. */
  split(bytesMax: number): Run | undefined {
    let at = this.#start;
    let bytes = 0;
    let count = 0;
    while (at < this.#end && bytes < bytesMax) {
      const bodyBytes = readUint32(this.#memory, at);
      at += LENGTH_BYTES + bodyBytes;
      bytes += bodyBytes;
      count += 1;
    }
    if (at === this.#end) return undefined;
    const part = new Run(this.topic, this.id, this.#memory, this.#start, at, count);
    this.#start = at;
    this.#count -= count;
    return part;
  }

  deliver(writer: FrameWriter): void {
    if (!writer.cutting) {
      writer.lend(this.#memory, this.#start, this.#end);
      return;
    }
    for (let at = this.#start; at < this.#end; ) {
      const start = at + LENGTH_BYTES;
      at = start + readUint32(this.#memory, at);
      const { type, flags, content, id, channel, value, payload } = decodeFrame(this.#memory, start, at);
      writer.frame(type, flags, content, id, channel, value, payload);
    }
  }
}
