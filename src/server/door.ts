// One port for all: looks at the first bytes of a stream and says which protocol the peer speaks. HTTP is
// handed to the HTTP server with its bytes put back; the others go on as streams of frames.

import type { Socket } from 'node:net';
import { LENGTH_BYTES } from '../protocol/frame-types.ts';
import { Patience } from '../transports/patience.ts';

export type Spoken = 'http' | 'native' | 'json';

const OPENING_BRACE = 0x7b;

/**
 * Waits for as many bytes as tell, at most 5, and puts them back. Gives undefined when the peer hung up
 * or `timeoutMs` passed first.
 */
export function lookAt(socket: Socket, timeoutMs: number): Promise<Spoken | undefined> {
  return new Promise((resolve) => {
    let seen: Buffer | undefined;
    const patience = new Patience(timeoutMs, () => settle(undefined));
    const settle = (spoken: Spoken | undefined): void => {
      patience.end();
      socket.off('readable', look);
      socket.off('close', gone);
      socket.off('end', gone);
      resolve(spoken);
    };
    const gone = (): void => settle(undefined);
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen === undefined ? chunk : Buffer.concat([seen, chunk]);
      const spoken = spokenBy(seen);
      if (spoken === undefined) return;
      // Only now: bytes that are put back count as new ones, and would be looked at again without end.
      socket.unshift(seen);
      settle(spoken);
    };
    socket.on('readable', look);
    socket.once('close', gone);
    socket.once('end', gone);
    look();
  });
}

/** Undefined while more bytes are needed. */
export function spokenBy(bytes: Uint8Array): Spoken | undefined {
  const first = bytes[0];
  if (first === undefined) return undefined;
  if (first >= 0x41 && first <= 0x5a) return 'http';
  if (bytes.length <= LENGTH_BYTES) return undefined;
  return bytes[LENGTH_BYTES] === OPENING_BRACE ? 'json' : 'native';
}
