// Base64 (RFC 4648, section 4) for bytes inside the old JSON protocol. Here because this layer may
// use neither Node's Buffer nor a browser's atob.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 0x3d;
const NONE = 0xff;
const CODE_OF_SEXTET = Uint8Array.from(ALPHABET, (letter) => letter.charCodeAt(0));
const SEXTET_OF_CODE = new Uint8Array(128).fill(NONE);
CODE_OF_SEXTET.forEach((code, sextet) => {
  SEXTET_OF_CODE[code] = sextet;
});
const decoder = new TextDecoder();

export function encodeBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let index = 0; index < bytes.length; index += 3) {
    // Past the end an index gives undefined, which the shift reads as 0.
    const group = ((bytes[index] as number) << 16) | ((bytes[index + 1] as number) << 8) | (bytes[index + 2] as number);
    codes[at++] = CODE_OF_SEXTET[group >>> 18] as number;
    codes[at++] = CODE_OF_SEXTET[(group >>> 12) & 63] as number;
    codes[at++] = CODE_OF_SEXTET[(group >>> 6) & 63] as number;
    codes[at++] = CODE_OF_SEXTET[group & 63] as number;
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  codes.fill(PAD, codes.length - missing);
  return decoder.decode(codes);
}

/**
 * Gives `undefined` for a text that `encodeBase64` would not have written: wrong letters, wrong or
 * missing padding, or bits set behind the last byte. So a text that decodes encodes to itself again.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const letters = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (let index = 0; index < letters; index++) {
    const code = text.charCodeAt(index);
    const sextet = code < 128 ? (SEXTET_OF_CODE[code] as number) : NONE;
    if (sextet === NONE) return undefined;
    bits = ((bits << 6) | sextet) & 0xfff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[at++] = (bits >>> bitCount) & 0xff;
    }
  }
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}
