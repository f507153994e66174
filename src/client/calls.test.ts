// The table of pending operations gives each answer to its own call, however long others wait, and what
// ends a call ends it once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError, ipcError } from '../base/errors.ts';
import { Frame } from '../protocol/codec.ts';
import { FrameType } from '../protocol/frame-types.ts';
import { Acknowledgement, CallTable } from './calls.ts';
import { Timekeeper } from './timekeeper.ts';

const noTimer = () => () => {};
const ok = (value: number) => new Frame(FrameType.OK, 0, 0, 1, 0, value, undefined, new Uint8Array(), 0, 0);

test('an id finds its own call when many more than there are slots are pending', () => {
  const times = new Timekeeper(() => 0, noTimer);
  const table = new CallTable();
  const calls = Array.from({ length: 10_000 }, () => new Acknowledgement(times));
  const ids = calls.map((call) => table.add(call));
  assert.equal(new Set(ids).size, calls.length);
  assert.equal(table.size, calls.length);
  // From the newest to the oldest, so that those in the slots go last.
  for (let i = calls.length - 1; i >= 0; i -= 1) {
    assert.equal(table.take(ids[i] as number), calls[i]);
    assert.equal(table.take(ids[i] as number), undefined);
  }
  assert.equal(table.size, 0);
});

test('draining gives all that is pending, once', () => {
  const times = new Timekeeper(() => 0, noTimer);
  const table = new CallTable();
  const calls = Array.from({ length: 5000 }, () => new Acknowledgement(times));
  for (const call of calls) table.add(call);
  assert.deepEqual(new Set(table.drain()), new Set(calls));
  assert.deepEqual(table.drain(), []);
  assert.equal(table.size, 0);
});

test('the first of answer, time-out, abort and failure ends a call, and the others do nothing', async () => {
  let now = 0;
  let fire: () => void = () => {};
  const times = new Timekeeper(
    () => now,
    (_delay, run) => {
      fire = run;
      return () => {};
    },
  );
  const answered = new Acknowledgement(times);
  const controller = new AbortController();
  answered.limit(100, controller.signal);
  answered.answered(ok(7));
  controller.abort();
  answered.fail(ipcError('NETWORK_LOST', 'too late'));
  assert.equal(await answered.promise, 7);
  assert.equal(times.size, 0);

  const late = new Acknowledgement(times);
  late.limit(100, undefined);
  now = 120;
  fire();
  late.answered(ok(1));
  await assert.rejects(late.promise, (error) => error instanceof IPCError && error.code === 'TIME_OUT');

  const aborted = new Acknowledgement(times);
  const told: [number, boolean][] = [];
  const second = new AbortController();
  aborted.id = 9;
  aborted.link = { forget: (id, cancel) => void told.push([id, cancel]) };
  aborted.limit(100, second.signal);
  second.abort();
  await assert.rejects(aborted.promise, (error) => error instanceof IPCError && error.code === 'TIME_CANCELLED');
  assert.deepEqual(told, [[9, true]]);
  assert.equal(times.size, 0);
});

test('one timer serves all, is set anew for what is due earlier, and stops with the last', () => {
  let now = 0;
  const set: number[] = [];
  let running: (() => void) | undefined;
  const times = new Timekeeper(
    () => now,
    (delay, run, keeps) => {
      assert.equal(keeps, false, 'time-outs never keep the process alive');
      set.push(delay);
      running = run;
      return () => {
        running = undefined;
      };
    },
  );
  const calls = [1000, 2000, 500].map((delay) => {
    const call = new Acknowledgement(times);
    call.promise.catch(() => {});
    call.limit(delay, undefined);
    return call;
  });
  assert.deepEqual(set, [1000, 500]);
  const runDue = (at: number) => {
    now = at;
    const run = running;
    running = undefined;
    run?.();
  };
  runDue(510);
  assert.deepEqual(
    calls.map((call) => call.settled),
    [false, false, true],
  );
  runDue(1010);
  runDue(2010);
  assert.ok(calls.every((call) => call.settled));
  assert.equal(running, undefined);
});
