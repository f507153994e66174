// Requests: every way to ask and to take the answer.

import { abortError, toError } from '../base/errors.ts';
import { booleanOption, functionOption, knownOptions, signalOption } from '../base/options.ts';
import type { AnyContract, RequestChannel, RequestOf, ResponseOf } from '../protocol/contract.ts';
import type { Message } from '../protocol/messages.ts';
import { checkChannelName } from '../protocol/names.ts';
import { BaseClient } from './base-client.ts';
import { PayloadCall } from './calls.ts';
import type { ClientCore } from './core.ts';
import { CallbackCall, MessageCall, type ResponseCallback } from './message-calls.ts';
import {
  REQUEST_OPTIONS,
  type RequestOptions,
  SEND_REQUEST_OPTIONS,
  type SendRequestOptions,
} from './operation-options.ts';
import { type ClientOptions, timeoutOption } from './options.ts';
import type { Platform } from './platform.ts';
import { ResponseStream } from './response-stream.ts';

export class RequestingClient<C = AnyContract> extends BaseClient {
  #sent = 0;
  #idPrefix = 'new-';

  constructor(appId: string, options: ClientOptions<C>, platform: Platform) {
    super(appId, options, platform);
    this.on('connected', ({ connectionId }) => {
      this.#idPrefix = `${connectionId}-`;
    });
  }

  /**
   * Sends a request and gives the payload of the response.
   *
   * Rejects with the handler's error (`REMOTE_*`), `TIME_OUT`, `TIME_CANCELLED`, `NETWORK_LOST`, or the
   * code of what forbids to send.
   *
   * @example
   * ```ts
   * const sum = await client.call('sum', [1, 2, 3], { timeout: 1000 });
   * ```
   */
  call<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options?: RequestOptions,
  ): Promise<ResponseOf<C, K>> {
    const { core } = this;
    const call = new PayloadCall(core.times, core.codec, core.responseReader(channel));
    return this.#request(call, channel, data, options, REQUEST_OPTIONS) as Promise<ResponseOf<C, K>>;
  }

  /** Like `call`, and gives the whole message. With `nullOnTimeout` it gives null at the time-out. */
  sendRequest<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options: SendRequestOptions & { readonly nullOnTimeout: true },
  ): Promise<Message<ResponseOf<C, K>> | null>;
  sendRequest<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options?: SendRequestOptions,
  ): Promise<Message<ResponseOf<C, K>>>;
  sendRequest(channel: string, data: unknown, options?: SendRequestOptions): Promise<unknown> {
    let nullOnTimeout: boolean;
    try {
      nullOnTimeout = booleanOption('nullOnTimeout', options?.nullOnTimeout, false);
    } catch (thrown) {
      return Promise.reject(toError(thrown));
    }
    const call = new MessageCall(this.core, channel, this.newId(), nullOnTimeout);
    return this.#request(call, channel, data, options, SEND_REQUEST_OPTIONS);
  }

  /** Sends a request whose response, or error, is given to a callback. Gives the id of the request. */
  sendRequestAsync<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    callback: ResponseCallback<ResponseOf<C, K>>,
    options: RequestOptions = {},
  ): string {
    checkChannelName(channel);
    functionOption('callback', callback);
    knownOptions('sendRequestAsync', options, REQUEST_OPTIONS);
    const id = this.newId();
    const call = new CallbackCall(this.core, channel, id, callback as ResponseCallback);
    const timeoutMs = timeoutOption(options.timeout, this.core.settings.requestTimeoutMs);
    const signal = signalOption('signal', options.signal);
    if (signal?.aborted === true) throw abortError(signal);
    call.limit(timeoutMs, signal);
    try {
      this.core.request(call, channel, data, timeoutMs, false);
    } catch (thrown) {
      call.finish();
      throw thrown;
    }
    return id;
  }

  /** Sends a request and does not wait: an error goes to the `error` event. Gives the id. */
  request<K extends RequestChannel<C>>(channel: K, data: RequestOf<C, K>): string {
    return this.sendRequestAsync(channel, data, (_response, error) => {
      if (error !== null) this.core.report(error);
    });
  }

  /**
   * The responses of a handler that streams, with backpressure: the handler waits when nobody takes.
   * The request leaves with the first `next()`; leaving the loop cancels it. `timeout` bounds the whole
   * stream. Default: none.
   *
   * @example
   * ```ts
   * for await (const line of client.stream('log', { follow: true })) console.log(line);
   * ```
   */
  stream<K extends RequestChannel<C>>(
    channel: K,
    data: RequestOf<C, K>,
    options: RequestOptions = {},
  ): ResponseStream<ResponseOf<C, K>> {
    checkChannelName(channel);
    knownOptions('stream', options, REQUEST_OPTIONS);
    const { core } = this;
    const timeoutMs = timeoutOption(options.timeout, 0);
    const { times, codec, streamWindowBytes } = core;
    const owner = {
      times,
      codec,
      reader: core.responseReader(channel),
      streamWindowBytes,
      begin: (request: Parameters<ClientCore['request']>[0]) => core.request(request, channel, data, timeoutMs, true),
    };
    return new ResponseStream<ResponseOf<C, K>>(owner, timeoutMs, signalOption('signal', options.signal));
  }

  /** @internal The id of a message: unique for this client, and cheap. */
  protected newId(): string {
    this.#sent += 1;
    return this.#idPrefix + this.#sent;
  }

  #request<R>(
    call: PayloadCall | MessageCall,
    channel: string,
    data: unknown,
    options: SendRequestOptions | undefined,
    known: readonly string[],
  ): Promise<R> {
    const { core } = this;
    let timeoutMs = core.settings.requestTimeoutMs;
    try {
      let signal: AbortSignal | undefined;
      if (options !== undefined) {
        knownOptions('options', options, known);
        timeoutMs = timeoutOption(options.timeout, timeoutMs);
        signal = signalOption('signal', options.signal);
        if (signal?.aborted === true) throw abortError(signal);
      }
      call.limit(timeoutMs, signal);
      core.request(call, channel, data, timeoutMs, false);
    } catch (thrown) {
      call.finish();
      return Promise.reject(toError(thrown));
    }
    return call.promise as Promise<R>;
  }
}
