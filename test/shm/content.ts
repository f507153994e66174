// Messages of the shared-memory tests: each tells who sent it and which it is, and is filled from both, so
// that a receiver can tell whether it is whole.

const HEAD_BYTES = 16;

function mix(seed: number): number {
  let x = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}

export function sizeOf(sender: number, number: number, maxBytes: number): number {
  return HEAD_BYTES + (mix(sender * 7919 + number) % maxBytes);
}

/** Between two sizes, in such a way that every order of magnitude comes as often. */
export function spreadSize(sender: number, number: number, from: number, to: number): number {
  return Math.round(from * (to / from) ** (mix(sender * 7919 + number) / 2 ** 32));
}

export function makeMessage(sender: number, number: number, bytes: number): Buffer {
  const message = Buffer.alloc(bytes);
  let state = mix(sender * 31 + number);
  const words = bytes >>> 2;
  for (let i = 0; i < words; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    message.writeUInt32LE(state, i * 4);
  }
  message.writeUInt32LE(sender, 0);
  message.writeUInt32LE(number, 4);
  message.writeUInt32LE(bytes, 8);
  return message;
}

export interface Seen {
  readonly sender: number;
  readonly number: number;
}

/** Who sent it and which it is; throws when a byte is not as it was sent. */
export function readMessage(message: Uint8Array): Seen {
  const view = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const sender = view.readUInt32LE(0);
  const number = view.readUInt32LE(4);
  if (view.readUInt32LE(8) !== view.length) throw new Error(`torn: ${view.length} bytes`);
  if (!view.equals(makeMessage(sender, number, view.length)))
    throw new Error(`torn: sender ${sender}, number ${number}`);
  return { sender, number };
}

/** Checks that each sender's messages come once and in order; keeps a digest of the order of all. */
export class OrderCheck {
  digest = 0;
  readonly #next = new Map<number, number>();

  accept({ sender, number }: Seen): void {
    const expected = this.#next.get(sender) ?? number;
    if (number !== expected) throw new Error(`sender ${sender}: message ${number} instead of ${expected}`);
    this.#next.set(sender, number + 1);
    this.digest = mix(this.digest ^ (sender * 65_599 + number));
  }
}
