// Numbers of channels: unique while in use, also after the largest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChannelNumbers } from './channel-numbers.ts';

test('numbers begin at 1 and are not given again while others are left', () => {
  const numbers = new ChannelNumbers();
  assert.deepEqual([numbers.take(), numbers.take()], [1, 2]);
  numbers.release(1);
  assert.equal(numbers.take(), 3);
  assert.equal(numbers.size, 2);
});

test('after the largest number of 32 bits counting goes on at 1, past those in use, never 0', () => {
  const numbers = new ChannelNumbers(0xffff_fffd, [1, 3]);
  const given = [1, 2, 3, 4].map(() => numbers.take());
  assert.deepEqual(given, [0xffff_fffe, 0xffff_ffff, 2, 4]);

  const freed = new ChannelNumbers(0xffff_ffff, [1, 2]);
  freed.release(2);
  assert.equal(freed.take(), 2);
});
