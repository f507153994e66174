// Opens a WebSocket as a wire: the client's end. The server's upgrade is elsewhere.

import { WebSocket } from 'ws';
import type { ConnectionOptions } from 'node:tls';
import { WEBSOCKET_MESSAGE_BYTES_MAX } from '../protocol/limits.ts';
import { DIAL_OPTIONS } from './dial-options.ts';
import { WebSocketWire } from './websocket-wire.ts';

/** Offered by clients and accepted by servers; docs/protocol.md, "Framing". */
export const SUBPROTOCOL = 'isthmus.1';

/** Frames are small or binary: compression costs more than it saves. */
const PLAIN = { perMessageDeflate: false, autoPong: false, maxPayload: WEBSOCKET_MESSAGE_BYTES_MAX };

/** Resolves once the upgrade was accepted. Rejects with the plain error of the attempt, or at the signal. */
export function connectWebSocket(
  url: string,
  options: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'rejectUnauthorized'>,
  signal: AbortSignal,
): Promise<WebSocketWire> {
  return new Promise((resolve, reject) => {
    const { protocol, hostname, port } = new URL(url);
    const socket = new WebSocket(url, SUBPROTOCOL, { ...options, ...DIAL_OPTIONS, ...PLAIN });
    const done = () => {
      socket.off('error', fail);
      socket.off('open', ready);
      signal.removeEventListener('abort', abort);
    };
    const fail = (error: Error) => {
      done();
      reject(error);
    };
    const abort = () => {
      done();
      // Ending an attempt raises an error event.
      socket.on('error', () => {});
      socket.terminate();
      reject(new Error('aborted', { cause: signal.reason }));
    };
    const ready = () => {
      const host = hostname.replace(/^\[(.*)\]$/, '$1');
      const usual = protocol === 'wss:' ? 443 : 80;
      const wire = new WebSocketWire(socket, {
        transport: 'websocket',
        host,
        port: port === '' ? usual : Number(port),
      });
      done();
      resolve(wire);
    };
    socket.once('error', fail);
    socket.once('open', ready);
    signal.addEventListener('abort', abort);
  });
}
