// What can be sent to a native subscriber: one message, or several at once.

import type { FrameWriter } from '../session/frame-writer.ts';

/** The channel, as its subscribers are told of it. */
export interface Topic {
  readonly number: number;
  readonly channelId: string;
  readonly appId: string;
}

export interface Deliverable {
  readonly topic: Topic;
  /** How many messages. */
  readonly count: number;
  /** What they count in credit and in outboxes. */
  readonly bytes: number;
  /** Writes the DELIVERY for one subscription. */
  deliver(writer: FrameWriter, id: number): void;
}
