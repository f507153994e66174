// Payloads in and out: what is typed or piped in becomes a payload, what arrives becomes text or JSON.

import { type Context, UsageFault } from './command.ts';

export const TYPES = ['text', 'json', 'bytes'] as const;

interface MessageInput {
  readonly word: string | undefined;
  readonly type: string | undefined;
  readonly json: boolean;
}

/** The payload that the user gives, from the arguments or from stdin. Throws a `UsageFault`. */
export async function readPayload({ word, type, json }: MessageInput, context: Context): Promise<unknown> {
  const kind = type ?? (json ? 'json' : 'text');
  if (word !== undefined && word !== '-') {
    if (type === undefined && !json) hintAtJson(word, context);
    return kind === 'bytes' ? Buffer.from(word) : parsed(kind, word, 'the message');
  }
  const bytes = await readStdin(context);
  if (kind === 'bytes') return bytes;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UsageFault('stdin is not UTF-8; send it as it is with --type bytes');
  }
  return parsed(kind, text.replace(/\r?\n$/, ''), 'stdin');
}

function parsed(kind: string, text: string, where: string): unknown {
  if (kind === 'text') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageFault(`${where} is not JSON: ${printable(text.length > 40 ? `${text.slice(0, 40)}…` : text)}`);
  }
}

/** Whoever types braces means an object. It is sent as the text that it is, and said so. */
function hintAtJson(text: string, { terminal }: Context): void {
  if (!/^\s*(?:\{.*|\[.*\]\s*)$/s.test(text)) return;
  let fault: string | undefined;
  try {
    JSON.parse(text);
  } catch (thrown) {
    fault = (thrown as Error).message;
  }
  // A script may well mean the text of an object, and a person who sees what arrives is told by that.
  if (fault === undefined && !terminal.interactive) return;
  const hint =
    fault === undefined
      ? 'Sent as text; with --json it is an object.'
      : `It looks like JSON and is none, so it is sent as text (${fault.replaceAll(/\s+/g, ' ')}).`;
  terminal.log('info', 'text', terminal.style('dim', hint));
}

/** All of stdin. Rejects with the interruption when the command is to end first. */
export async function readStdin({ terminal, signal }: Context): Promise<Buffer> {
  const { stdin } = process;
  if (stdin.isTTY)
    terminal.log('info', 'reading', terminal.style('dim', 'Type the message; Ctrl-D on a new line ends it.'));
  const stop = (): void => {
    stdin.destroy();
  };
  signal.addEventListener('abort', stop);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of stdin) chunks.push(chunk as Buffer);
    signal.throwIfAborted();
    return Buffer.concat(chunks);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A payload as what JSON can hold: bytes as `{ base64 }`, typed arrays as arrays, none as null. */
export function jsonValue(payload: unknown): unknown {
  if (payload === undefined) return null;
  if (payload instanceof Uint8Array && !(payload instanceof Uint8ClampedArray)) {
    return { base64: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64') };
  }
  if (ArrayBuffer.isView(payload)) {
    return Array.from(payload as unknown as ArrayLike<number | bigint>, (item) =>
      typeof item === 'bigint' ? String(item) : item,
    );
  }
  return payload;
}

/** A payload on one line, safe to print. */
export function onOneLine(payload: unknown): string {
  if (payload === undefined) return '';
  if (typeof payload === 'string') return printable(payload);
  if (payload instanceof Uint8Array) return `<${payload.byteLength} bytes> ${Buffer.from(payload).toString('base64')}`;
  return printable(JSON.stringify(jsonValue(payload)));
}

/** The text itself, or as a JSON string where it would break the line or speak to the terminal. */
export function printable(text: string): string {
  if (!/\p{Cc}/u.test(text)) return text;
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
