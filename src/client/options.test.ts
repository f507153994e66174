// Wrong options are thrown at once, naming option, value and range; right ones end in whole settings.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IPCError } from '../base/errors.ts';
import { readAddress, showAddress } from './address.ts';
import { readClientOptions } from './options.ts';

test('every documented default is in place', () => {
  const settings = readClientOptions('shop', {});
  assert.deepEqual(settings.address, { kind: 'tcp', host: 'localhost', port: 8888 });
  assert.equal(settings.connectionTimeoutMs, 10_000);
  assert.equal(settings.reconnect, true);
  assert.equal(settings.reconnectAttempts, 5);
  assert.equal(settings.reconnectDelayMs, 2000);
  assert.equal(settings.heartbeatIntervalMs, 30_000);
  assert.equal(settings.requestTimeoutMs, 5000);
  assert.equal(settings.offline, 'wait');
  assert.equal(settings.protocol, 'native');
});

test('a wrong option is refused by its name', () => {
  const wrong: readonly (readonly [object, string])[] = [
    [{ port: 0 }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ host: '' }, 'host'],
    [{ path: '/s', host: 'x' }, 'host'],
    [{ url: 'tcp://x', port: 1 }, 'port'],
    [{ url: 'http://x' }, 'url'],
    [{ url: 'nonsense' }, 'url'],
    [{ tls: 1 }, 'tls'],
    [{ connectionTimeout: 0 }, 'connectionTimeout'],
    [{ reconnect: 'yes' }, 'reconnect'],
    [{ reconnectAttempts: -1 }, 'reconnectAttempts'],
    [{ reconnectDelay: 0 }, 'reconnectDelay'],
    [{ heartbeatInterval: 1.5 }, 'heartbeatInterval'],
    [{ requestTimeout: -1 }, 'requestTimeout'],
    [{ offline: 'maybe' }, 'offline'],
    [{ protocol: 'xml' }, 'protocol'],
    [{ encoding: {} }, 'encoding'],
    [{ protocol: 'json', url: 'ws://localhost:1' }, 'url'],
    [{ protocol: 'json', will: { channel: 'a', payload: 1 } }, 'will'],
    [{ will: { channel: 'a' } }, 'will'],
    [{ signal: {} }, 'signal'],
    [{ limits: { messageBytesMax: 1 } }, 'limits.messageBytesMax'],
    [{ limits: { messages: 1 } }, 'limits.messages'],
    [{ conectionTimeout: 1 }, 'options.conectionTimeout'],
    [{ token: 'x'.repeat(70_000) }, 'token, name and will'],
  ];
  for (const [options, name] of wrong) {
    assert.throws(
      () => readClientOptions('shop', options),
      (error) => error instanceof IPCError && error.code === 'USAGE_INVALID_OPTION' && error.details['option'] === name,
      `${name} in ${JSON.stringify(options).slice(0, 80)}`,
    );
  }
  assert.throws(
    () => readClientOptions('', {}),
    (error) => error instanceof IPCError && error.code === 'USAGE_INVALID_NAME',
  );
});

test('an address survives being shown as a URL', () => {
  for (const url of [
    'tcp://localhost:1',
    'tls://[::1]:8443',
    'unix:/run/shop.sock',
    'ws://localhost:80/ipc',
    'wss://x/',
  ]) {
    assert.equal(showAddress(readAddress({ url })), url);
  }
  assert.equal(showAddress(readAddress({ url: 'tcp://localhost' })), 'tcp://localhost:8888');
  assert.equal(showAddress(readAddress({ port: 9, tls: true })), 'tls://localhost:9');
});
