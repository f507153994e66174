// Options of applications are checked at the door, those inside their channel defaults too.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { applicationSettings } from './application-options.ts';
import { CHANNEL_DEFAULTS } from './channel-options.ts';

test('nothing is left open when no option is given', () => {
  assert.deepEqual(applicationSettings(), {
    channelsMax: 100_000,
    idleChannelsMax: 1000,
    autoCreateChannels: true,
    subscriptionsMax: 1000,
    retainedBytesMax: 64 * 1024 * 1024,
    channelDefaults: CHANNEL_DEFAULTS,
  });
});

test('a wrong option of an application is named too, inside its channel defaults as well', () => {
  const cases: [options: object, named: RegExp][] = [
    [{ channelsMax: 0 }, /channelsMax.*1 to 10000000/],
    [{ idleChannelsMax: 0 }, /idleChannelsMax/],
    [{ subscriptionsMax: -1 }, /subscriptionsMax/],
    [{ retainedBytesMax: 2 ** 41 }, /retainedBytesMax/],
    [{ autoCreateChannels: 1 }, /autoCreateChannels/],
    [{ channelDefaults: { policy: 'none' } }, /policy/],
    [{ maxChannels: 7 }, /application\.maxChannels/],
  ];
  for (const [options, named] of cases) {
    assert.throws(
      () => applicationSettings(options),
      (error) => error instanceof IPCError && error.code === 'USAGE_INVALID_OPTION' && named.test(error.message),
      JSON.stringify(options),
    );
  }
});
