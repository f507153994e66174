// @ts-check
// The channel that child_process.fork gives, with both of its serializations. JSON makes objects of numbers out of
// bytes, so its payloads are strings. Every subscriber is a process of its own: there is no other way.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./child-process-child.mjs', import.meta.url));
/** How much is handed over before the sender waits for the channel: it has no drain event. */
const WAIT_EVERY_BYTES = 256 * 1024;
const WAIT_EVERY_MESSAGES = 256;

/** @param {import('./adapter.mjs').Setting} setting */
async function start(setting) {
  const serialization = setting.variant === 'json' ? 'json' : 'advanced';
  const kind = setting.variant === 'json' ? 'text' : 'bytes';
  const child = fork(CHILD, [setting.work, kind, String(setting.sizeBytes)], { serialization, execArgv: [] });
  await once(child, 'message');
  return child;
}

/**
 * @param {import('./adapter.mjs').Setting} setting
 * @returns {Promise<import('./adapter.mjs').Sender>}
 */
async function senderTo(setting) {
  /** @type {import('node:child_process').ChildProcess[]} */
  const children = [];
  for (let i = 0; i < setting.subscribers; i++) children.push(await start(setting));
  const waitEvery = Math.max(1, Math.min(WAIT_EVERY_MESSAGES, Math.floor(WAIT_EVERY_BYTES / setting.sizeBytes)));
  let untilWait = waitEvery;
  return {
    send(payload) {
      untilWait -= 1;
      if (untilWait > 0) {
        for (const child of children) child.send(payload);
        return undefined;
      }
      untilWait = waitEvery;
      return Promise.all(children.map((child) => new Promise((resolve) => child.send(payload, resolve))));
    },
    async tallies() {
      return Promise.all(
        children.map(async (child) => {
          const answer = once(child, 'message');
          child.send(0);
          return (await answer)[0];
        }),
      );
    },
    close() {
      for (const child of children) child.disconnect();
    },
  };
}

/** @type {import('./adapter.mjs').Adapter} */
export const adapter = {
  parties: [
    { name: 'ipc-json', variant: 'json', note: 'child_process.fork, strings' },
    { name: 'ipc-advanced', variant: 'advanced', note: 'child_process.fork, Buffers' },
  ],
  transports: ['stdio'],
  works: { request: ['direct'], oneway: ['direct'], fanout: ['direct'] },
  payload: (variant) => (variant === 'json' ? 'text' : 'bytes'),
  separate: true,
  version: async () => `node ${process.versions.node}`,

  async serve(setting) {
    return setting.work === 'fanout'
      ? { sender: await senderTo(setting), close: () => undefined }
      : { close: () => undefined };
  },

  async requester(setting) {
    const child = await start(setting);
    /** @type {((reply: import('./adapter.mjs').Payload) => void)[]} */
    const waiting = [];
    child.on('message', (/** @type {import('./adapter.mjs').Payload} */ reply) => waiting.shift()?.(reply));
    return {
      request(payload, done) {
        waiting.push(done);
        child.send(payload);
      },
      close: () => child.disconnect(),
    };
  },

  sender: senderTo,
};
