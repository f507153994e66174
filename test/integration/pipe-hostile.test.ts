// What nobody should do with a named pipe, and what comes of it: nonsense arguments, everything twice, after the
// end and at the same time, callbacks and handlers that misbehave.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { IPCError } from '../../src/base/errors.ts';
import { Pipe, PipeError, PipeSender, send } from '../../src/pipe/index.ts';
import { pipeFolder } from './pipe-folder.ts';
import { listening, withoutFifos as skip } from './pipe-listening.ts';

/** What a program without types may pass. */
const NONSENSE: readonly unknown[] = [null, 0, Number.NaN, '', {}, [], () => {}, Symbol('s'), true, 1n, new Date(0)];
const OPTION_NAMES = [
  ...['directory', 'mode', 'timeout', 'maxMessages', 'dieCode', 'daemon', 'responsePipeName', 'bufferSize'],
  ...['concurrency', 'format', 'maxMessageBytes', 'maxSenders', 'rememberedIds', 'signal', 'onError'],
];
/** What is right for an option, among the nonsense for others. */
const RIGHT: Readonly<Record<string, (value: unknown) => boolean>> = {
  dieCode: (value) => value === null,
  daemon: (value) => value === true,
  onError: (value) => typeof value === 'function',
  ...Object.fromEntries(
    ['mode', 'timeout', 'maxMessages', 'bufferSize', 'rememberedIds'].map((name) => [name, (value) => value === 0]),
  ),
};

const isUsage = (error: unknown): boolean => error instanceof IPCError && error.code.startsWith('USAGE_');
const cast = (value: unknown): never => value as never;

test('a nonsense name, callback or option of a Pipe is refused by the constructor', { skip }, () => {
  for (const value of NONSENSE) {
    assert.throws(() => new Pipe(cast(value), () => {}), { errorCode: 'INVALID_PIPE_NAME' }, String(value));
    if (typeof value !== 'function') assert.throws(() => new Pipe('p', cast(value)), { code: 'USAGE_INVALID_OPTION' });
    for (const name of OPTION_NAMES) {
      if (RIGHT[name]?.(value) === true) continue;
      assert.throws(() => new Pipe('p', () => {}, cast({ [name]: value })), isUsage, `${name}: ${String(value)}`);
    }
  }
  for (const options of [null, 5, 'text', { timeOut: 5 }]) {
    assert.throws(() => new Pipe('p', () => {}, cast(options)), { code: 'USAGE_INVALID_OPTION' });
  }
});

test('a nonsense name, message or option of a send is refused by its promise', { skip }, async (t) => {
  const { folder: directory } = pipeFolder(t);
  await using sender = new PipeSender('p', { directory });
  for (const value of NONSENSE) {
    await assert.rejects(send(cast(value), 'x', { directory }), { errorCode: 'INVALID_PIPE_NAME' }, String(value));
    assert.throws(() => new PipeSender(cast(value)), { errorCode: 'INVALID_PIPE_NAME' });
    if (value === '') continue;
    for (const sent of [send('p', cast(value), { directory }), sender.send(cast(value))]) {
      await assert.rejects(sent, { code: 'USAGE_INVALID_OPTION' }, String(value));
    }
  }
  for (const options of [null, 5, 'text', { tries: 5 }, { timeout: '5' }, { maxAttempts: -1 }, { id: '' }, { id: 5 }]) {
    for (const sent of [send('p', 'x', cast(options)), sender.send('x', cast(options))]) {
      await assert.rejects(sent, { code: 'USAGE_INVALID_OPTION' }, JSON.stringify(options));
    }
  }
  for (const options of [{ signal: {} }, { signal: null }, { directory: 5 }, { directory: '' }]) {
    await assert.rejects(send('p', 'x', cast(options)), { code: 'USAGE_INVALID_OPTION' }, JSON.stringify(options));
  }
  for (const options of [null, 5, { directory: 5 }, { id: 'x' }, { timeout: -1 }]) {
    assert.throws(() => new PipeSender('p', cast(options)), { code: 'USAGE_INVALID_OPTION' }, JSON.stringify(options));
  }
});

test('listen twice, and several times at once, is listening once', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const pipe = new Pipe('p', () => {}, { directory: folder });
  const opened = await Promise.all([pipe.listen(), pipe.listen()]);
  opened.push(await pipe.listen());
  for (const one of opened) assert.equal(one, pipe);
  assert.equal(await send(pipe, 'x'), true);
  await Promise.all([pipe.close(), pipe[Symbol.asyncDispose](), pipe.close()]);
  await pipe.close();
  await assert.rejects(pipe.listen(), { code: 'USAGE_CLOSED' });
});

test('a pipe that is closed or aborted before or while it opens leaves nothing, and its listen is refused', {
  skip,
}, async (t) => {
  const { folder } = pipeFolder(t);
  const make = (signal?: AbortSignal) => new Pipe('p', () => {}, { directory: folder, signal });
  const early = make();
  await early.close();
  await assert.rejects(early.listen(), { code: 'USAGE_CLOSED' });
  const opening = make();
  const refused = assert.rejects(opening.listen(), { code: 'USAGE_CLOSED' });
  await opening.close();
  await refused;
  const aborted = make(AbortSignal.abort());
  await assert.rejects(aborted.listen(), { errorCode: 'UNKNOWN', code: 'TIME_CANCELLED' });
  assert.equal(await aborted.closed, 'aborted');
  const controller = new AbortController();
  const aborting = make(controller.signal);
  const cancelled = assert.rejects(aborting.listen(), { code: 'TIME_CANCELLED' });
  controller.abort();
  await cancelled;
  assert.equal(await aborting.closed, 'aborted');
});

test('a sender is closed once, however often; what it still had is finished, what comes later refused', {
  skip,
}, async (t) => {
  const { folder, got } = await listening(t);
  const sender = new PipeSender('p', { directory: folder });
  const sent = [sender.send('a'), sender.send('b')];
  const closed = Promise.all([sender.close(), sender.close(), sender[Symbol.asyncDispose]()]);
  await assert.rejects(sender.send('late'), { code: 'USAGE_CLOSED', errorCode: 'CONNECTION_FAILED' });
  assert.deepEqual(await Promise.all(sent), [true, true]);
  await closed;
  await sender.close();
  assert.deepEqual(got, ['a', 'b']);
});

test('a pipe with a callback is not iterated; two loops over one without share its messages', { skip }, async (t) => {
  const { pipe, folder } = await listening(t);
  await assert.rejects(pipe[Symbol.asyncIterator]().next(), { code: 'USAGE_INVALID_OPTION' });
  const shared = new Pipe('shared', undefined, { directory: folder });
  const got: string[] = [];
  const loop = async (): Promise<void> => {
    for await (const text of shared) got.push(text);
  };
  const loops = [loop(), loop()];
  for (const text of ['1', '2', '3', '4']) await send('shared', text, { directory: folder, maxAttempts: 0 });
  await shared.close();
  await Promise.all(loops);
  assert.deepEqual(got.toSorted(), ['1', '2', '3', '4']);
});

test('whatever a callback throws reaches its sender as an error', { skip }, async (t) => {
  const thrown: unknown[] = [undefined, null, 'a text', Symbol('s'), { code: 5 }, new Error('')];
  const { pipe } = await listening(t, {}, () => {
    throw thrown.shift();
  });
  for (let left = thrown.length; left > 0; left--) {
    await assert.rejects(send(pipe, 'x'), { name: 'PipeError', code: 'REMOTE_HANDLER_FAILED' });
  }
});

test('a response that cannot be made or sent, and an onError that throws, do not hold up the listener', {
  skip,
}, async (t) => {
  const circle: Record<string, unknown> = {};
  circle['again'] = circle;
  const results: unknown[] = [circle, { big: 1n }, Symbol('s'), 'text'];
  const errors: Error[] = [];
  const warned = once(process, 'warning');
  const { pipe, got } = await listening(
    t,
    {
      responsePipeName: 'nobody',
      onError: (error) => {
        errors.push(error);
        throw new Error('the handler of errors failed');
      },
    },
    () => results.shift(),
  );
  for (let n = 0; n < 4; n++) assert.equal(await send(pipe, `${n}`), true);
  await pipe.close();
  assert.deepEqual(got, ['0', '1', '2', '3']);
  assert.equal(errors.length, 4);
  for (const error of errors) assert.ok(error instanceof PipeError);
  const [warning] = (await warned) as [Error];
  assert.equal(warning.message, 'the handler of errors failed');
});

for (const stop of ['maxMessages', 'dieCode'] as const) {
  test(`${stop}, met by many senders at once: each send ends, and true is said of exactly what was processed`, {
    skip,
  }, async (t) => {
    const { folder } = pipeFolder(t);
    for (let round = 0; round < 20; round++) {
      const got: string[] = [];
      const pipe = new Pipe('p', (text) => void got.push(text), {
        directory: folder,
        concurrency: 1 + (round % 3),
        ...(stop === 'maxMessages' ? { maxMessages: 7 } : {}),
      });
      await pipe.listen();
      const senders = Array.from({ length: 5 }, () => new PipeSender('p', { directory: folder }));
      const acknowledged: string[] = [];
      await Promise.all(
        senders.flatMap((sender, who) =>
          Array.from({ length: 6 }, async (_, n) => {
            const text = stop === 'dieCode' && who === 2 && n === 3 ? 'PIPECOM_DIE' : `${who}-${n}`;
            try {
              await sender.send(text);
              if (text !== 'PIPECOM_DIE') acknowledged.push(text);
            } catch (error) {
              assert.ok(error instanceof PipeError && error.errorCode === 'CONNECTION_FAILED', String(error));
            }
          }),
        ),
      );
      assert.equal(await pipe.closed, stop === 'maxMessages' ? 'max-messages' : 'die-code');
      assert.deepEqual(acknowledged.toSorted(), got.toSorted());
      if (stop === 'maxMessages') assert.equal(got.length, 7);
      await Promise.all(senders.map((sender) => sender.close()));
    }
  });
}

/** A program that ends when nothing keeps it alive. */
async function program(directory: string, text: string): Promise<readonly unknown[]> {
  const module = new URL('../../src/pipe/index.js', import.meta.url).href;
  const source = `import { Pipe, PipeSender, send } from '${module}'; const directory = '${directory}'; ${text}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return [code, said];
}

const LISTENS = "const pipe = new Pipe('q', (text) => console.log(text), { directory, DAEMON }); await pipe.listen();";

test('a listener with daemon does not keep its process alive, not even with a sender at it', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const daemon = LISTENS.replace('DAEMON', 'daemon: true');
  assert.deepEqual(await program(folder, `${daemon} console.log('listens');`), [0, 'listens\n']);
  const sends = `${daemon} await send('q', 'one', { directory }); globalThis.kept = new PipeSender('q', { directory }); await kept.send('two');`;
  assert.deepEqual(await program(folder, sends), [0, 'one\ntwo\n']);
  // A process that just ends leaves the files of its listener; the next listener takes them over, and away.
  defer(() => new Pipe('q', () => {}, { directory: folder }).listen().then((pipe) => pipe.close()));
});

test('a listener without daemon keeps its process alive until it stops', { skip }, async (t) => {
  const { folder } = pipeFolder(t);
  const running = program(folder, LISTENS.replace('DAEMON', 'daemon: false, maxMessages: 2'));
  assert.equal(await send('q', 'one', { directory: folder, maxAttempts: 0 }), true);
  assert.equal(await send('q', 'two', { directory: folder }), true);
  assert.deepEqual(await running, [0, 'one\ntwo\n']);
});

test('what a sender keeps does not keep its process alive; a send under way does', { skip }, async (t) => {
  const { folder, got } = await listening(t, {}, () => new Promise((resolve) => setTimeout(resolve, 50)));
  const source = `send('p', 'sent', { directory }).then(console.log);
    globalThis.kept = new PipeSender('p', { directory }); kept.send('by a sender').then(console.log);`;
  assert.deepEqual(await program(folder, source), [0, 'true\ntrue\n']);
  assert.deepEqual(got.toSorted(), ['by a sender', 'sent']);
});
