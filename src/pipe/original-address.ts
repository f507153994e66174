// One message to a listener of the original package on Windows. There it is one message a connection: base64
// without a line end, to which three bytes, `ACK`, are the answer. No lock and no file is needed.

import { createConnection } from 'node:net';
import { toError } from '../base/errors.ts';
import { PipeError } from './errors.ts';
import type { PipeAddress } from './names.ts';
import { encodeForOriginal, type OriginalResult } from './original-lines.ts';
import { refusal } from './socket-door.ts';

/** What that listener reads of a message when nobody has told it otherwise; the rest it would leave out. */
const READ_AT_ONCE_BYTES = 4096;

/**
 * @throws PipeError when the listener ends the connection without an acknowledgement, or the message does not fit
 * its format; the signal's reason when that fires.
 */
export async function exchangeAtAddress(
  place: PipeAddress,
  payload: Buffer,
  signal: AbortSignal,
): Promise<OriginalResult> {
  const encoded = encodeForOriginal(place.name, payload).subarray(0, -1);
  if (encoded.length > READ_AT_ONCE_BYTES) {
    throw new PipeError('LIMIT_MESSAGE_BYTES', 'longer than a listener of the original package takes whole', {
      details: { pipe: place.name, bytes: payload.length, maxBytes: (READ_AT_ONCE_BYTES / 4) * 3 },
    });
  }
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = createConnection(place.data);
    let isConnected = false;
    let answer = '';
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
      settle();
    };
    const abort = (): void => finish(() => reject(toError(signal.reason)));
    signal.addEventListener('abort', abort);
    socket.on('connect', () => {
      isConnected = true;
      socket.write(encoded);
    });
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (answer === 'ACK') finish(() => resolve('done'));
    });
    let failure: PipeError | undefined;
    socket.on('error', (thrown) => (failure = refusal(thrown, place)));
    socket.on('close', () =>
      finish(() => {
        if (failure !== undefined) reject(failure);
        else if (isConnected) reject(noAnswer(place, answer));
        else resolve('absent');
      }),
    );
  });
}

function noAnswer(place: PipeAddress, answer: string): PipeError {
  return new PipeError('REMOTE_HANDLER_FAILED', 'the listener did not acknowledge the message', {
    details: { pipe: place.name, answer },
  });
}
