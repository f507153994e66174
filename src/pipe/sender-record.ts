// What a listener knows of its senders: which of their messages wait, and which it has acknowledged. A sender
// that has lost its lane and comes back on another sends again what was not answered, and nothing of that may
// be processed twice.

import type { Incoming, Outcome } from './inbox.ts';
import { SequenceMemory } from './sequence-memory.ts';
import { SequenceTable } from './sequence-table.ts';

/** Where the answers of a sender go. */
export interface AnswerLane {
  answer(seq: number, outcome: Outcome): void;
  /** The sender has come back on another lane and reads from this one no more. */
  replaced(): void;
}

/** A message of one of our senders. */
export class Arrival implements Incoming {
  readonly from = 'isthmus';
  readonly id: string | undefined;
  readonly seq: number;
  readonly isText: boolean;
  readonly payload: Buffer;
  readonly #sender: SenderRecord;
  isAnswered = false;

  constructor(sender: SenderRecord, seq: number, isText: boolean, id: string, payload: Buffer) {
    this.#sender = sender;
    this.seq = seq;
    this.isText = isText;
    this.id = id === '' ? undefined : id;
    this.payload = payload;
  }

  answer(outcome: Outcome): void {
    this.isAnswered = true;
    this.#sender.answered(this, outcome);
  }
}

export class SenderRecord {
  readonly #waiting = new SequenceTable<Arrival>();
  readonly acknowledged: SequenceMemory;
  #waitingBytes = 0;
  #lane: AnswerLane | undefined;

  constructor(rememberedIds: number) {
    this.acknowledged = new SequenceMemory(rememberedIds);
  }

  get hasLane(): boolean {
    return this.#lane !== undefined;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  useLane(lane: AnswerLane): void {
    const before = this.#lane;
    this.#lane = lane;
    before?.replaced();
  }

  leaveLane(lane: AnswerLane): void {
    if (this.#lane === lane) this.#lane = undefined;
  }

  waiting(seq: number): Arrival | undefined {
    return this.#waiting.get(seq);
  }

  /** It was not answered at once. */
  keep(arrival: Arrival): void {
    this.#waiting.add(arrival);
    this.#waitingBytes += arrival.payload.length;
  }

  drop(arrival: Arrival): void {
    if (this.#waiting.delete(arrival.seq)) this.#waitingBytes -= arrival.payload.length;
  }

  answered(arrival: Arrival, outcome: Outcome): void {
    this.drop(arrival);
    if (outcome.ok) this.acknowledged.add(arrival.seq);
    this.#lane?.answer(arrival.seq, outcome);
  }
}

/** The records of all senders: of those that are there, and for a while of those that have gone. */
export class SenderRecords {
  readonly #rememberedIds: number;
  readonly #here = new Map<string, SenderRecord>();
  /** In the order in which they went. */
  readonly #gone = new Map<string, { readonly record: SenderRecord; readonly room: number }>();
  #goneRoom = 0;

  constructor(rememberedIds: number) {
    this.#rememberedIds = rememberedIds;
  }

  /** The record of a sender that comes in. */
  enter(sender: string): SenderRecord {
    const known = this.#here.get(sender) ?? this.#takeBack(sender) ?? new SenderRecord(this.#rememberedIds);
    this.#here.set(sender, known);
    return known;
  }

  /** A lane has ended. Those that went first are forgotten when they remember more together than one may. */
  leave(sender: string, record: SenderRecord): void {
    if (record.hasLane || !this.#here.delete(sender)) return;
    const { room } = record.acknowledged;
    this.#gone.set(sender, { record, room });
    this.#goneRoom += room;
    for (const [oldest, gone] of this.#gone) {
      if (this.#goneRoom <= this.#rememberedIds || oldest === sender) return;
      if (gone.record.waitingCount === 0) this.#takeBack(oldest);
    }
  }

  #takeBack(sender: string): SenderRecord | undefined {
    const gone = this.#gone.get(sender);
    if (gone === undefined) return undefined;
    this.#gone.delete(sender);
    this.#goneRoom -= gone.room;
    return gone.record;
  }
}
