// The words that document an option name its range and its default; the code must mean the same. Every number
// and every flag of an exported option type is given a wrong value here, and its default is looked up.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ENTRIES } from '../../scripts/layers.mjs';
import { type OptionRow, readOptions } from '../../scripts/option-tables.mjs';
import { IPCError } from '../../src/base/errors.ts';
import { applicationSettings } from '../../src/broker/application-options.ts';
import { channelSettings } from '../../src/broker/channel-options.ts';
import { readClientOptions } from '../../src/client/options.ts';
import { serverSettings } from '../../src/server/options.ts';
import { IPCServer } from '../../src/server/server.ts';
import { resolvePipeOptions } from '../../src/pipe/pipe-options.ts';
import { resolveOptions } from '../../src/shm/options.ts';
import { documentedDefault, documentedNumber, documentedRange } from './documented-ranges.ts';

type Settings = Readonly<Record<string, unknown>>;

/** How the options of a type are checked: given these options, what holds inside. */
const DOORS: Readonly<Record<string, (options: Settings) => object>> = {
  ServerOptions: (options) => ({ server: new IPCServer(options), ...serverSettings(options) }),
  ClientOptions: (options) => readClientOptions('app', options),
  Limits: (options) => serverSettings({ limits: options }).limits,
  ApplicationOptions: (options) => applicationSettings(options),
  ChannelOptions: (options) => channelSettings(options),
  ShmChannelOptions: (options) => resolveOptions(options),
  PipeOptions: (options) => resolvePipeOptions(options),
};

/** Types whose options are checked where they are used, by the tests of that place. */
const CHECKED_ELSEWHERE: Readonly<Record<string, string>> = {
  ListenOptions: 'a union of addresses: test/integration of the server listens on each kind',
  PublishOptions: 'checked with each publish',
  ChannelPublishOptions: 'checked with each publish',
  RequestOptions: 'checked with each request',
  SendRequestOptions: 'checked with each request',
  SendOptions: 'checked by send()',
  SendToOptions: 'checked by sendTo()',
  PipeSenderOptions: 'checked with each send of the sender',
  ShmWaitOptions: 'checked with each wait',
  HandlerOptions: 'checked by onMessage()',
  ServeOptions: 'checked by serve()',
  StopOptions: 'checked by stop()',
  SubscribeOptions: 'checked by subscribe()',
  TlsOptions: "handed to Node's TLS as they are",
};

function thrownFor(door: (options: Settings) => object, option: string, value: unknown): IPCError {
  try {
    door({ [option]: value });
  } catch (error) {
    assert.ok(error instanceof IPCError, String(error));
    assert.equal(error.code, 'USAGE_INVALID_OPTION');
    return error;
  }
  assert.fail(`${option}: ${String(value)} is not refused`);
}

/** The documented default is what holds inside, where it is decided at this door. */
function checkDefault(row: OptionRow, door: (options: Settings) => object): void {
  const documented = documentedDefault(row.meaning);
  assert.notEqual(documented, undefined, `${row.option}: the comment names no default`);
  const inside: Settings = { ...door({}) };
  const held = inside[row.option] ?? inside[`${row.option}Ms`];
  if (held !== undefined) assert.equal(documented, held, `${row.option}: the default`);
}

function checkNumber(row: OptionRow, door: (options: Settings) => object): void {
  const range = documentedRange(row.meaning);
  assert.ok(range !== undefined, `${row.option}: the comment names no range`);
  const { message } = thrownFor(door, row.option, 0.5);
  assert.ok(
    message.includes(`from ${range.min} to ${range.max}`),
    `${row.option}: documented ${range.min} to ${range.max}, but ${message}`,
  );
  checkDefault(row, door);
}

function checkFlag(row: OptionRow, door: (options: Settings) => object): void {
  thrownFor(door, row.option, 'yes');
  checkDefault(row, door);
}

describe('what documents say about options', () => {
  const entries = Object.values(ENTRIES).map((entry) => join(process.cwd(), entry));
  const { tables } = readOptions(entries.filter((entry) => existsSync(entry)));

  test('is read as it is meant', () => {
    assert.deepEqual(documentedRange('Room, 64 KiB to 2^31-1. Default 16 MiB.'), { min: 65536, max: 2 ** 31 - 1 });
    assert.equal(documentedRange('up to 5'), undefined);
    assert.equal(documentedDefault('Room, 1 to 2. Default 1,000.'), 1000);
    assert.equal(documentedDefault('Default `false`.'), false);
    assert.equal(documentedDefault('Default: nobody.'), undefined);
    assert.equal(documentedNumber('2^40'), 2 ** 40);
  });

  for (const [name, rows] of tables) {
    const door = DOORS[name];
    if (door === undefined) {
      test(`${name} is checked elsewhere`, () => assert.ok(name in CHECKED_ELSEWHERE, 'neither a door nor a reason'));
      continue;
    }
    for (const row of rows) {
      const type = row.type.replace(/ \\?\| undefined$/, '');
      if (type === 'number') test(`${name}.${row.option}: range and default`, () => checkNumber(row, door));
      if (type === 'boolean') test(`${name}.${row.option}: default`, () => checkFlag(row, door));
    }
  }
});
