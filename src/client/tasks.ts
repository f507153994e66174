// The requests that a server has sent on one connection and that are being answered.

import { ipcError, type IPCError } from '../base/errors.ts';
import type { Connection } from '../connection/connection.ts';
import type { Frame } from '../protocol/codec.ts';
import { FrameFlag, FrameType } from '../protocol/frame-types.ts';
import type { Message } from '../protocol/messages.ts';
import type { EncodedPayload } from '../protocol/payload.ts';
import { writeFields } from '../session/session.ts';
import { type AnswerLink, type RequestHandler, Task } from './serving.ts';
import type { Timekeeper } from './timekeeper.ts';

export class Tasks implements AnswerLink {
  readonly #connection: Connection;
  readonly #times: Timekeeper;
  readonly #tasksMax: number;
  readonly #encode: (value: unknown) => EncodedPayload;
  readonly #tasks = new Map<number, Task>();

  constructor(connection: Connection, times: Timekeeper, tasksMax: number, encode: (value: unknown) => EncodedPayload) {
    this.#connection = connection;
    this.#times = times;
    this.#tasksMax = tasksMax;
    this.#encode = encode;
  }

  /** A REQUEST has arrived. */
  begin(frame: Frame, request: Message, handler: RequestHandler | undefined, windowBytes: number, nowMs: number): void {
    const { id, value: timeoutMs } = frame;
    if (handler === undefined) {
      this.refuse(id, ipcError('REMOTE_NO_HANDLER', `the client handles no requests of '${request.channelId}'`));
      return;
    }
    if (this.#tasks.has(id)) throw ipcError('PEER_UNEXPECTED_FRAME', `request ${id} is not answered yet`);
    if (this.#tasks.size >= this.#tasksMax) {
      this.refuse(id, ipcError('LIMIT_REQUESTS', 'the client has too many requests to answer'));
      return;
    }
    const deadline = timeoutMs === 0 ? undefined : nowMs + timeoutMs;
    const task = new Task(id, this, this.#times, (frame.flags & FrameFlag.STREAM) !== 0, windowBytes, deadline);
    this.#tasks.set(id, task);
    if (timeoutMs > 0) this.#times.add(task, timeoutMs);
    task.run(handler, request);
  }

  cancelled(id: number): void {
    this.#tasks.get(id)?.stop(ipcError('REMOTE_CANCELLED', 'the caller has cancelled'), true);
  }

  granted(id: number, bytes: number): void {
    this.#tasks.get(id)?.grant(bytes);
  }

  /** The connection has gone. */
  end(error: IPCError): void {
    for (const task of [...this.#tasks.values()]) task.stop(error, false);
  }

  respond(id: number, value: unknown): void {
    const payload = this.#encode(value);
    this.#connection.writer.frame(FrameType.RESPONSE, 0, payload.content, id, 0, 0, payload.bytes);
    this.#connection.touch();
  }

  refuse(id: number, error: IPCError): void {
    if (this.#connection.session.state !== 'open') return;
    this.#connection.writer.frame(FrameType.ERROR, 0, 0, id, 0, 0, errorFields(error));
    this.#connection.touch();
  }

  streamData(id: number, value: unknown): number {
    const payload = this.#encode(value);
    this.#connection.writer.frame(FrameType.STREAM_DATA, 0, payload.content, id, 0, 0, payload.bytes);
    this.#connection.touch();
    return payload.bytes.length;
  }

  streamEnd(id: number): void {
    this.#connection.writer.frame(FrameType.STREAM_END, 0, 0, id, 0, 0);
    this.#connection.touch();
  }

  finished(task: Task): void {
    this.#tasks.delete(task.id);
  }
}

function errorFields({ code, message, details }: IPCError): Uint8Array {
  try {
    return writeFields({ code, message, details });
  } catch {
    // What a handler put into the details need not be JSON.
    return writeFields({ code, message });
  }
}
