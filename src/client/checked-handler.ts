// A handler with the contract's schemas around it: it sees requests that fit, and answers that do not fit
// are its own failure, not the caller's.

import { ipcError, IPCError } from '../base/errors.ts';
import type { Contract } from '../protocol/contract.ts';
import type { RequestHandler } from './serving.ts';

export function checkedHandler(contract: Contract<unknown>, channel: string, handler: RequestHandler): RequestHandler {
  const check = (value: unknown): unknown => {
    try {
      contract.checkSent('response', channel, value);
    } catch (thrown) {
      if (!(thrown instanceof IPCError)) throw thrown;
      throw ipcError('REMOTE_HANDLER_FAILED', thrown.message, { cause: thrown, details: thrown.details });
    }
    return value;
  };
  return (request, context) => {
    request.acceptPayload((payload) => contract.readReceived('request', channel, payload, 'USAGE_INVALID_PAYLOAD'));
    const result: unknown = handler(request, context);
    if (isAsyncIterable(result)) return checkedItems(result, check);
    if (result instanceof Promise) {
      return result.then((value: unknown) => (isAsyncIterable(value) ? checkedItems(value, check) : check(value)));
    }
    return check(result);
  };
}

async function* checkedItems(items: AsyncIterable<unknown>, check: (value: unknown) => unknown) {
  for await (const item of items) yield check(item);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
