// A request of the server's own program to one client.

import { onAbort } from '../base/abort.ts';
import { abortError, ipcError, type IPCError } from '../base/errors.ts';
import { integerOption, signalOption } from '../base/options.ts';
import type { Frame } from '../protocol/codec.ts';
import { Message } from '../protocol/messages.ts';
import { encodePayload } from '../protocol/payload.ts';
import type { Hub } from './hub.ts';
import type { PeerRequestOptions, Worker } from './model.ts';
import { OutgoingCall } from './outgoing-call.ts';

const TIMEOUT_MS = { default: 5000, min: 1, max: 2 ** 31 - 1 };

class OwnCall extends OutgoingCall {
  readonly #settle: (answer: Frame | IPCError) => void;

  constructor(settle: (answer: Frame | IPCError) => void) {
    super();
    this.#settle = settle;
  }

  override response(frame: Frame): void {
    this.#settle(frame);
  }

  override fail(error: IPCError): void {
    this.#settle(error);
  }

  // A stream was not asked for; its end is the end of the call.
  override streamData(): void {}

  override streamEnd(): void {
    this.#settle(ipcError('REMOTE_STREAMS', 'the client streamed its response'));
  }
}

export async function askPeer(
  peer: Worker,
  hub: Hub,
  channelId: string,
  payload: unknown,
  options: PeerRequestOptions = {},
): Promise<Message> {
  const timeoutMs = integerOption('timeout', options.timeout, TIMEOUT_MS);
  const signal = signalOption('signal', options.signal);
  if (signal?.aborted === true) throw abortError(signal);
  const { content, bytes } = encodePayload(payload, hub.context.settings.codec);
  let unlisten: (() => void) | undefined;
  try {
    return await new Promise<Message>((resolve, reject) => {
      const call = new OwnCall((answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answerMessage(peer, hub, channelId, call.id, answer));
      });
      peer.sendCall(call, channelId, content, bytes, timeoutMs, false);
      hub.requests.watch(call, hub.context.clock() + timeoutMs);
      unlisten =
        signal &&
        onAbort(signal, () => {
          peer.cancelCall(call);
          reject(abortError(signal));
        });
    });
  } finally {
    unlisten?.();
  }
}

function answerMessage(peer: Worker, hub: Hub, channelId: string, id: number, frame: Frame): Message {
  const replyTo = `${peer.id}-s${id}`;
  return new Message(
    'response',
    peer.appId,
    channelId,
    frame,
    undefined,
    `${replyTo}-response`,
    -1,
    hub.context.now(),
    replyTo,
    hub.context.settings.codec,
  );
}
