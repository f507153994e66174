// Options of channels are checked at the door, and the error says which, what and why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { CHANNEL_DEFAULTS, channelSettings } from './channel-options.ts';

test('what is not given is as in the fallback, and without one as in the defaults', () => {
  assert.deepEqual(channelSettings({}), CHANNEL_DEFAULTS);
  const base = channelSettings({ policy: 'latest-only', retain: true });
  assert.deepEqual(channelSettings({ outboxBytesMax: 2048 }, base), {
    policy: 'latest-only',
    outboxBytesMax: 2048,
    retain: true,
  });
});

test('a wrong option of a channel is named, with its value and what it may be', () => {
  const cases: [options: object, named: RegExp][] = [
    [{ policy: 'drop' }, /policy.*'block'.*'disconnect'.*'drop'/],
    [{ outboxBytesMax: 1023 }, /outboxBytesMax.*1024 to 2147483647.*1023/],
    [{ outboxBytesMax: 2 ** 31 }, /outboxBytesMax/],
    [{ outboxBytesMax: 5000.5 }, /outboxBytesMax/],
    [{ retain: 'yes' }, /retain.*true or false.*'yes'/],
    [{ retained: true }, /channel\.retained.*no such option/],
  ];
  for (const [options, named] of cases) {
    assert.throws(
      () => channelSettings(options),
      (error) => error instanceof IPCError && error.code === 'USAGE_INVALID_OPTION' && named.test(error.message),
      JSON.stringify(options),
    );
  }
});
