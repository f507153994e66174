// A sender of ours against a listener played by the test: what it does when the lane breaks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FifoDoor } from '../../src/pipe/fifo-door.ts';
import { doneFrame, FrameDecoder, welcomeFrame } from '../../src/pipe/frames.ts';
import { PipeSender } from '../../src/pipe/index.ts';
import type { LaneStream } from '../../src/pipe/lane-stream.ts';
import { pipePaths } from '../../src/pipe/names.ts';
import { pipeFolder } from './pipe-folder.ts';
import { withoutFifos as skip } from './pipe-listening.ts';

const INSTANCES = ['00000000000000000000000000000001', '00000000000000000000000000000002'] as const;

/** Takes messages; cuts the first lane without an answer. `instances` are what it calls itself, lane by lane. */
function cuttingListener(folder: string, instances: readonly string[]) {
  const got: string[] = [];
  const streams: LaneStream[] = [];
  const door = new FifoDoor(pipePaths('p', folder), 0o600, 0, (stream) => {
    const instance = instances[streams.length] ?? '';
    const isFirst = streams.push(stream) === 1;
    const decoder = new FrameDecoder(1_000, (frame) => {
      if (frame.type === 'hello') stream.write(welcomeFrame(instance, 1_000));
      if (frame.type !== 'message') return;
      got.push(`${frame.seq} ${frame.payload.toString()}`);
      if (isFirst) stream.destroy();
      else stream.write(doneFrame([frame.seq]));
    });
    stream.start({ data: (chunk) => decoder.push(chunk), end: () => {}, expects: () => false });
  });
  const close = (): void => {
    door.hide();
    door.close('REMOTE_CLOSED');
    for (const stream of streams) stream.destroy();
  };
  return { got, close };
}

test('a message without an answer is sent again to the same listener, with the same sequence', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const { got, close } = cuttingListener(folder, [INSTANCES[0], INSTANCES[0]]);
  defer(close);
  await using sender = new PipeSender('p', { directory: folder });
  assert.equal(await sender.send('x'), true);
  assert.deepEqual(got, ['1 x', '1 x']);
});

test('it is not sent again to another listener, which cannot know whether it was processed', { skip }, async (t) => {
  const { folder, defer } = pipeFolder(t);
  const { got, close } = cuttingListener(folder, INSTANCES);
  defer(close);
  await using sender = new PipeSender('p', { directory: folder, maxAttempts: 0 });
  await assert.rejects(sender.send('x'), { code: 'NETWORK_LOST', errorCode: 'CONNECTION_FAILED' });
  assert.equal(await sender.send('y'), true);
  assert.deepEqual(got, ['1 x', '2 y']);
});
