import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Incoming, Inbox, type InboxOptions, type Outcome } from './inbox.ts';

/** An inbox that records what it does. */
function recorded(options: Partial<InboxOptions> = {}) {
  const log: string[] = [];
  const inbox = new Inbox({
    handle: (message) => void log.push(`handle ${message.toString()}`),
    format: 'text',
    concurrency: 1,
    maxMessages: 0,
    dieCode: 'die',
    rememberedIds: 2,
    onActivity: () => {},
    onResult: () => {},
    onStop: (reason) => log.push(`stop ${reason}`),
    ...options,
  });
  const offer = (text: string, id?: string) => {
    const answer = (outcome: Outcome): void => void log.push(`${text} ${outcome.ok ? 'ok' : outcome.code}`);
    const incoming: Incoming = { id, payload: Buffer.from(text), isText: true, from: 'isthmus', answer };
    inbox.offer(incoming);
    return incoming;
  };
  return { inbox, log, offer };
}

test('a message is handled, then answered', () => {
  const { log, offer } = recorded();
  offer('a');
  assert.deepEqual(log, ['handle a', 'a ok']);
});

test('the limit of messages is kept to the message, also when they come while one is handled', async () => {
  const { inbox, log, offer } = recorded({ maxMessages: 2, handle: () => Promise.resolve() });
  for (const text of ['a', 'b', 'c', 'd']) offer(text);
  await inbox.whenIdle();
  offer('e');
  await inbox.whenIdle();
  assert.deepEqual(log.slice().sort(), [
    'a ok',
    'b ok',
    'c REMOTE_CLOSED',
    'd REMOTE_CLOSED',
    'e REMOTE_CLOSED',
    'stop max-messages',
  ]);
  assert.equal(inbox.started, 2);
});

test('the die code is acknowledged before the stop, and what waits is refused', () => {
  const { log, offer } = recorded();
  offer('die');
  offer('a');
  assert.deepEqual(log, ['die ok', 'stop die-code', 'a REMOTE_CLOSED']);
});

test('an id that was acknowledged is not handled again, until so many others were', () => {
  const { log, offer } = recorded();
  for (const id of ['1', '1', '2', '3', '1']) offer(`m${id}`, id);
  assert.deepEqual(
    log.filter((entry) => entry.startsWith('handle')),
    ['handle m1', 'handle m2', 'handle m3', 'handle m1'],
  );
  assert.equal(log.filter((entry) => entry.endsWith('ok')).length, 5);
});

test('an id that is being handled is answered to everybody who sent it', async () => {
  let finish = (): void => {};
  const { inbox, log, offer } = recorded({ handle: () => new Promise<void>((resolve) => (finish = resolve)) });
  offer('a', '1');
  offer('again', '1');
  assert.deepEqual(log, []);
  finish();
  await inbox.whenIdle();
  assert.deepEqual(log, ['a ok', 'again ok']);
});

test('a message that is withdrawn before it was begun is not handled; one that was begun is', async () => {
  let finish = (): void => {};
  const { inbox, log, offer } = recorded({ handle: () => new Promise<void>((resolve) => (finish = resolve)) });
  const first = offer('a');
  const second = offer('b');
  assert.equal(inbox.withdraw(second), true);
  assert.equal(inbox.withdraw(first), false);
  finish();
  await inbox.whenIdle();
  assert.deepEqual(log, ['a ok']);
});

test('what is thrown, at once or later, becomes the answer', async () => {
  const { inbox, log, offer } = recorded({
    handle: (message) => {
      if (message === 'a') throw new Error('at once');
      return Promise.reject(new Error('later'));
    },
  });
  offer('a');
  offer('b');
  await inbox.whenIdle();
  assert.deepEqual(log, ['a REMOTE_HANDLER_FAILED', 'b REMOTE_HANDLER_FAILED']);
});

test('a callback that offers a message itself does not nest', () => {
  const order: string[] = [];
  const { offer } = recorded({
    handle: (message) => {
      order.push(`begin ${message.toString()}`);
      if (message === 'a') offer('b');
      order.push(`end ${message.toString()}`);
    },
  });
  offer('a');
  assert.deepEqual(order, ['begin a', 'end a', 'begin b', 'end b']);
});
