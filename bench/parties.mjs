// @ts-check
// The table of adapters. A party that is not installed is reported as absent, never passed over.

const FILES = ['floor', 'isthmus', 'nats', 'zeromq', 'redis', 'ws', 'socket-io', 'node-ipc', 'child-process'];

/**
 * @param {string} file
 * @returns {Promise<import('./adapters/adapter.mjs').Adapter>}
 */
export async function loadAdapter(file) {
  const { adapter } = await import(`./adapters/${file}.mjs`);
  return adapter;
}

/**
 * @typedef {object} Candidate
 * @property {string} name of the party
 * @property {string} file of its adapter
 * @property {string} variant
 * @property {string} note
 * @property {import('./adapters/adapter.mjs').Adapter} adapter
 */

/** @returns {Promise<Candidate[]>} */
export async function candidates() {
  const found = [];
  for (const file of FILES) {
    const adapter = await loadAdapter(file);
    for (const { name, variant, note = '' } of adapter.parties) found.push({ name, file, variant, note, adapter });
  }
  return found;
}
