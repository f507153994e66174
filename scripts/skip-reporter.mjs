// A reporter for node's test runner that writes one line for each skipped test: file and full name, as JSON.

import { basename } from 'node:path';

/** Node 20 reports tests that a name pattern leaves out as skipped; nobody asked for those. */
const LEFT_OUT = 'test name does not match pattern';

/**
 * @param {AsyncIterable<{ type: string, data: { name: string, nesting: number, file?: string, skip?: string | boolean } }>} events
 */
export default async function* skipReporter(events) {
  /** @type {string[]} The names from the outermost test down to the one that runs now. */
  const path = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (type === 'test:pass' && data.skip !== undefined && data.skip !== false && data.skip !== LEFT_OUT) {
      const name = [basename(data.file ?? ''), ...path.slice(0, data.nesting), data.name].join(' > ');
      const reason = typeof data.skip === 'string' && data.skip !== '' ? ` (${data.skip})` : '';
      yield `${JSON.stringify(name + reason)}\n`;
    }
  }
}
