import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnswerLane, Arrival, SenderRecords } from './sender-record.ts';

const lane: AnswerLane = { answer: () => {}, replaced: () => {} };

/** A sender that comes, has one message acknowledged, and goes. */
function visit(senders: SenderRecords, sender: string): void {
  const record = senders.enter(sender);
  record.useLane(lane);
  record.acknowledged.add(1);
  record.leaveLane(lane);
  senders.leave(sender, record);
}

test('what a sender had acknowledged is known when it comes back, and when it does so again', () => {
  const senders = new SenderRecords(1_000);
  visit(senders, 'a');
  visit(senders, 'a');
  assert.equal(senders.enter('a').acknowledged.has(1), true);
  assert.equal(senders.enter('b').acknowledged.has(1), false);
});

test('of those that have gone, the first are forgotten when there are too many; one with a message that waits is not', () => {
  const senders = new SenderRecords(1_000);
  const waiting = senders.enter('waiting');
  waiting.keep(new Arrival(waiting, 2, true, '', Buffer.from('x')));
  visit(senders, 'waiting');
  for (let n = 0; n < 5_000; n++) visit(senders, `sender ${n}`);
  assert.equal(senders.enter('sender 0').acknowledged.has(1), false);
  assert.equal(senders.enter('sender 4999').acknowledged.has(1), true);
  assert.equal(senders.enter('waiting'), waiting);
});

test('the record stays with the lane that took it over when the lane before it ends', () => {
  const senders = new SenderRecords(1_000);
  const record = senders.enter('a');
  const ended: string[] = [];
  const end = (name: string, self: AnswerLane): void => {
    ended.push(name);
    record.leaveLane(self);
    senders.leave('a', record);
  };
  const first: AnswerLane = { answer: () => {}, replaced: () => end('first', first) };
  record.useLane(first);
  assert.equal(senders.enter('a'), record);
  record.useLane(lane);
  assert.deepEqual(ended, ['first']);
  assert.equal(record.hasLane, true);
  assert.equal(senders.enter('a'), record);
});
