// What the bytes of a message are.

export function asBuffer(message: string | Uint8Array): Buffer {
  if (typeof message === 'string') return Buffer.from(message);
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength);
}

export function payloadBytes(message: string | Uint8Array): number {
  return typeof message === 'string' ? Buffer.byteLength(message) : message.length;
}
