// The client in Node.

import type { AnyContract } from '../protocol/contract.ts';
import { Client } from './client.ts';
import { nodePlatform } from './node-platform.ts';
import type { ClientOptions } from './options.ts';

/**
 * A client of an application on a server. Throws `USAGE_INVALID_OPTION` or `USAGE_INVALID_NAME` at once for
 * what is wrong with the options.
 *
 * @example
 * ```ts
 * await using client = new IPCClient('shop', { port: 8888 });
 * await client.connect();
 * console.log(await client.call('sum', [1, 2, 3]));
 * ```
 */
export class IPCClient<C = AnyContract> extends Client<C> {
  constructor(appId: string, options: ClientOptions<C> = {}) {
    super(appId, options, nodePlatform);
  }
}

/** The name that users of the original Python package know. */
export { IPCClient as FrameworkClient };
