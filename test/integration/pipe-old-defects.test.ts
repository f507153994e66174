// What was broken in PipeCom and must not be here, one row a rule. Where its senders have a part in it, they are
// played here byte by byte; with the real ones the same rules are in test/interop/pipecom.test.ts.
//
//  1 concurrent senders: every acknowledgement is for a message that was processed; none fails
//  2 a long message is one message
//  3 a send to nobody ends, in time, and leaves no file
//  4 a callback's exception is an answer
//  5 after the die code no message is processed
//  6 after the last message the next senders are told
//  7 the timeout of a listener is inactivity
//  8 maxAttempts is counted
//  9 send takes a Pipe
// 10 FIFOs are open to nobody else

import assert from 'node:assert/strict';
import { constants, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FifoDoor } from '../../src/pipe/fifo-door.ts';
import { goodbyeFrame } from '../../src/pipe/frames.ts';
import { PipeSender, send } from '../../src/pipe/index.ts';
import { readingSocket, writingSocket } from '../../src/pipe/lane-stream.ts';
import { pipePaths } from '../../src/pipe/names.ts';
import { pipeFolder } from './pipe-folder.ts';
import { gate, listening, withoutFifos as skip } from './pipe-listening.ts';

/** What a sender of PipeCom does: a line into the data FIFO, then a line out of the one for acknowledgements. */
class OldSender {
  readonly #data: string;
  readonly #ack: string;

  constructor(folder: string) {
    this.#data = join(folder, 'p');
    this.#ack = join(folder, 'p_ack');
  }

  /** Gives the answer, `ACK` when all is well. */
  async send(...texts: string[]): Promise<string> {
    await this.write(...texts);
    return this.answer();
  }

  /** Several at once arrive at once. */
  write(...texts: string[]): Promise<void> {
    const lines = texts.map((text) => `${Buffer.from(text).toString('base64')}\n`).join('');
    const socket = writingSocket(openSync(this.#data, constants.O_WRONLY | constants.O_NONBLOCK));
    return new Promise((resolve) => {
      socket.end(lines, () => socket.destroy());
      socket.on('close', () => resolve());
    });
  }

  async answer(): Promise<string> {
    const socket = readingSocket(openSync(this.#ack, constants.O_RDONLY | constants.O_NONBLOCK));
    for await (const chunk of socket) return Buffer.from(String(chunk), 'base64').toString();
    throw new Error('the end of the file in place of an answer');
  }
}

const FOUR = [0, 1, 2, 3];
const TEN = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const ALL = FOUR.flatMap((who) => TEN.map((n) => `${who}-${n}`));

test('1: four senders, ten messages each: each is processed once, and each send is told so', { skip }, async (t) => {
  const { folder, got } = await listening(t);
  await Promise.all(
    FOUR.map(async (who) => {
      await using sender = new PipeSender('p', { directory: folder });
      for (const n of TEN) {
        assert.equal(await sender.send(`${who}-${n}`), true);
        assert.ok(got.includes(`${who}-${n}`), 'acknowledged and not processed');
      }
    }),
  );
  assert.deepEqual(got.toSorted(), ALL);
});

test('1: four old senders, ten messages each: each is processed once, and each send is acknowledged', {
  skip,
}, async (t) => {
  const { folder, got } = await listening(t);
  await Promise.all(
    FOUR.map(async (who) => {
      const sender = new OldSender(folder);
      for (const n of TEN) assert.equal(await sender.send(`${who}-${n}`), 'ACK');
    }),
  );
  assert.deepEqual(got.toSorted(), ALL);
});

test('2: a message of 200,000 characters is one message, from either kind of sender', { skip }, async (t) => {
  const { folder, pipe, got } = await listening(t);
  const long = 'long '.repeat(40_000);
  assert.equal(await send(pipe, long), true);
  assert.equal(await new OldSender(folder).send(long), 'ACK');
  assert.deepEqual(got, [long, long]);
});

test('3: a send to a name nobody listens on ends at once or with its time-out, and leaves no file', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  await assert.rejects(send('p', 'x', { directory: folder }), { errorCode: 'CONNECTION_FAILED' });
  await assert.rejects(send('p', 'x', { directory: folder, maxAttempts: 0, timeout: 30 }), { errorCode: 'TIMEOUT' });
  assert.deepEqual(readdirSync(folder), []);
});

test("4: a callback's exception is an answer, and the next message is processed", { skip }, async (t) => {
  const { folder, pipe, got } = await listening(t, {}, (text) => {
    if (text === 'bad') throw new Error('no room');
  });
  await assert.rejects(send(pipe, 'bad'), { code: 'REMOTE_HANDLER_FAILED', message: 'no room' });
  const old = new OldSender(folder);
  assert.equal(await old.send('bad'), 'ERROR: no room');
  assert.equal(await old.send('good'), 'ACK');
  assert.deepEqual(got, ['bad', 'bad', 'good']);
});

test('5: what comes after the die code, even with it, is refused and not processed', { skip }, async (t) => {
  const { folder, pipe, got } = await listening(t);
  await using sender = new PipeSender('p', { directory: folder });
  const [die, after] = await Promise.allSettled([sender.send('PIPECOM_DIE'), sender.send('one more')]);
  assert.equal(die.status, 'fulfilled');
  assert.ok(after.status === 'rejected');
  assert.equal(await pipe.closed, 'die-code');
  assert.deepEqual(got, []);
});

test('5: what an old sender writes with the die code is refused and not processed', { skip }, async (t) => {
  const { folder, pipe, got } = await listening(t);
  const old = new OldSender(folder);
  assert.equal(await old.send('PIPECOM_DIE', 'one more'), 'ACK');
  assert.match(await old.answer(), /^ERROR: .*stopped/);
  assert.equal(await pipe.closed, 'die-code');
  assert.deepEqual(got, []);
});

test('6: whoever comes after the last message is told', { skip }, async (t) => {
  const hold = gate();
  const { folder, pipe, got } = await listening(t, { maxMessages: 1 }, () => hold.opened);
  await using sender = new PipeSender('p', { directory: folder });
  const last = sender.send('last');
  const late = [sender.send('late'), send(pipe, 'later')].map((sent) =>
    assert.rejects(sent, { errorCode: 'CONNECTION_FAILED' }),
  );
  await Promise.all(late);
  hold.open();
  assert.equal(await last, true);
  assert.equal(await pipe.closed, 'max-messages');
  assert.deepEqual(got, ['last']);
});

test('6: an old sender that comes while the last message is processed is told', { skip }, async (t) => {
  const begun = gate();
  const hold = gate();
  const { folder, pipe, got } = await listening(t, { maxMessages: 1 }, () => {
    begun.open();
    return hold.opened;
  });
  const last = send(pipe, 'last');
  await begun.opened;
  assert.match(await new OldSender(folder).send('late'), /^ERROR: .*stopped/);
  hold.open();
  assert.equal(await last, true);
  assert.equal(await pipe.closed, 'max-messages');
  assert.deepEqual(got, ['last']);
});

test('7: each message, of either kind of sender, puts off the timeout of a listener', { skip }, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { folder, pipe } = await listening(t, { timeout: 1_000, daemon: false });
  const old = new OldSender(folder);
  for (let n = 0; n < 3; n++) {
    t.mock.timers.tick(900);
    assert.equal(await send(pipe, 'x', { timeout: 0 }), true);
    t.mock.timers.tick(900);
    assert.equal(await old.send('x'), 'ACK');
  }
  t.mock.timers.tick(1_000);
  assert.equal(await pipe.closed, 'inactivity');
});

test('8: so many attempts are made, and no more', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  let attempts = 0;
  const door = new FifoDoor(pipePaths('p', folder), 0o600, 0, (stream) => {
    attempts += 1;
    stream.write(goodbyeFrame('LIMIT_CONNECTIONS'));
    void stream.end(1_000);
  });
  defer(() => {
    door.hide();
    door.close('REMOTE_CLOSED');
  });
  for (const maxAttempts of [1, 3]) {
    attempts = 0;
    await using sender = new PipeSender('p', { directory: folder });
    await assert.rejects(sender.send('x', { maxAttempts, timeout: 0 }), { code: 'LIMIT_CONNECTIONS' });
    assert.equal(attempts, maxAttempts);
  }
});

test('9: send takes a Pipe', { skip }, async (t) => {
  const { pipe, got } = await listening(t);
  assert.equal(await send(pipe, 'x'), true);
  assert.deepEqual(got, ['x']);
});

test('10: every file of a pipe is for its user alone, whoever made it and whatever the umask is', {
  skip,
}, async (t) => {
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  const { folder } = await listening(t);
  const files = readdirSync(folder).toSorted();
  assert.deepEqual(files, ['p', 'p_ack', 'p_isthmus', 'p_lock']);
  for (const file of files) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
});
