// A reporter for node's test runner that writes one line of JSON for each skipped test, a text of file and full
// name, and for each failed one, `{ failed }` with the same. A group that fails only for its tests is left out.

import { basename } from 'node:path';

/** Node 20 reports tests that a name pattern leaves out as skipped; nobody asked for those. */
const LEFT_OUT = 'test name does not match pattern';

/**
 * @typedef {{ name: string, nesting: number, file?: string, skip?: string | boolean, details?: { error?: { failureType?: string } } }} Data
 * @param {AsyncIterable<{ type: string, data: Data }>} events
 */
export default async function* verdictReporter(events) {
  /** @type {string[]} The names from the outermost test down to the one that runs now. */
  const path = [];
  const nameOf = (/** @type {Data} */ data) =>
    [basename(data.file ?? ''), ...path.slice(0, data.nesting), data.name].join(' > ');
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (type === 'test:pass' && data.skip !== undefined && data.skip !== false && data.skip !== LEFT_OUT) {
      const reason = typeof data.skip === 'string' && data.skip !== '' ? ` (${data.skip})` : '';
      yield `${JSON.stringify(nameOf(data) + reason)}\n`;
    } else if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') {
      yield `${JSON.stringify({ failed: nameOf(data) })}\n`;
    }
  }
}
