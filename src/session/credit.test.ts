// Credit: a sender may send while it has any, and gets back exactly what was consumed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReceiveCredit, SendCredit } from './credit.ts';

test('a sender stops when its credit is spent, and one message may take it below zero', () => {
  const credit = new SendCredit(100);
  credit.spend(99);
  assert.equal(credit.open, true);
  credit.spend(1000);
  assert.equal(credit.open, false);
  credit.grant(999);
  assert.equal(credit.open, false);
  credit.grant(1);
  assert.equal(credit.open, true);
});

test('a receiver grants at half of its window, and never more than was consumed', () => {
  const credit = new ReceiveCredit(100);
  assert.equal(credit.receive(60), true);
  assert.equal(credit.consume(49), 0);
  assert.equal(credit.consume(1), 50);
  assert.equal(credit.consume(10), 0);
  assert.equal(credit.settle(), 10);
  assert.equal(credit.settle(), 0);
});

test('a receiver tells a sender that had no credit', () => {
  const credit = new ReceiveCredit(100);
  assert.equal(credit.receive(100), true);
  assert.equal(credit.receive(1), false);
});
