// A client of the native protocol that says what a test wants, in the order that it wants, and hangs up only
// when it is told to: what a peer of ill will can do, and ours never does.

import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { decodeFrame, encodeFrame, type Frame } from '../../src/protocol/codec.ts';
import { FrameCutter } from '../../src/protocol/frame.ts';
import { ContentType, FrameType, PROTOCOL_MAGIC } from '../../src/protocol/frame-types.ts';
import type { AtWork } from './broker-at-work.ts';

type Fields = Parameters<typeof encodeFrame>[0];

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export function framed(body: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

export const frame = (fields: Fields): Buffer => framed(encodeFrame(fields));

export const hello = (fields: object = {}): Buffer =>
  frame({ type: FrameType.HELLO, id: PROTOCOL_MAGIC, channel: 1, value: 1, payload: json({ app: 'test', ...fields }) });

export const declare = (channel: number, name: string): Buffer =>
  frame({ type: FrameType.DECLARE, channel, payload: Buffer.from(name) });

export const request = (id: number, channel: number, text: string, flags = 0): Buffer =>
  frame({ type: FrameType.REQUEST, id, channel, flags, content: ContentType.TEXT, payload: Buffer.from(text) });

export class RawNative {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly #cutter = new FrameCutter(1 << 24);
  #waiting: (() => void)[] = [];
  #ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    // The server may hang up before everything was written.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#cutter.push(chunk);
      while (this.#cutter.next()) {
        const { buffer, start, end } = this.#cutter;
        this.frames.push(decodeFrame(Uint8Array.prototype.slice.call(buffer, start, end), 0, end - start));
      }
      this.#wake();
    });
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Connects and sends the parts. It does not hang up when the server does. */
  static async open(target: NetConnectOpts, ...parts: Buffer[]): Promise<RawNative> {
    const socket = connect({ ...target, allowHalfOpen: true });
    await once(socket, 'connect');
    const raw = new RawNative(socket);
    raw.send(...parts);
    return raw;
  }

  /** A client of the application `test` that is welcome. */
  static async join(work: AtWork, ...parts: Buffer[]): Promise<RawNative> {
    const raw = await RawNative.open(work.address as NetConnectOpts, hello(), ...parts);
    await raw.next(FrameType.WELCOME);
    return raw;
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The first frame of one of these types that nobody has taken yet, from now or before. */
  async next(...types: number[]): Promise<Frame> {
    for (;;) {
      const at = this.frames.findIndex((one) => types.includes(one.type));
      if (at >= 0) return this.frames.splice(at, 1)[0] as Frame;
      if (this.#ended) throw new Error(`the server hung up before a frame of type ${types.join(' or ')}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The code of the server's goodbye. */
  async goodbye(): Promise<string> {
    return (JSON.parse(Buffer.from((await this.next(FrameType.GOODBYE)).payload).toString()) as { code: string }).code;
  }

  /** The code of the next ERROR. */
  async errorCode(): Promise<string> {
    return (JSON.parse(Buffer.from((await this.next(FrameType.ERROR)).payload).toString()) as { code: string }).code;
  }

  close(): void {
    this.socket.destroy();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
