// JSON as Python writes it, as an encoding of payloads: what JSON.parse would refuse or round stays whole.

import { ContentType } from '../protocol/frame-types.ts';
import type { PayloadCodec } from '../protocol/payload.ts';
import { parsePythonJson, stringifyPythonJson } from '../protocol/python-json.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const pythonCodec: PayloadCodec = {
  content: ContentType.JSON,
  encode: (value) => encoder.encode(stringifyPythonJson(value)),
  decode: (bytes) => parsePythonJson(decoder.decode(bytes)),
};
