// Payloads between the old JSON protocol and ours: two JSON codecs that lose nothing which the other side
// can hold (docs/decisions/old-json-values.md).

import { ContentType } from './frame-types.ts';
import type { PayloadCodec } from './payload.ts';
import { parsePythonJson, stringifyJson, stringifyPythonJson } from './python-json.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const decode = (bytes: Uint8Array): unknown => parsePythonJson(decoder.decode(bytes));

/** For what an old client sends to anybody: valid JSON, so that NaN becomes null; large integers keep their digits. */
export const FROM_OLD: PayloadCodec = {
  content: ContentType.JSON,
  encode: (value) => encoder.encode(stringifyJson(value)),
  decode,
};

/** For what only an old client will read: NaN and the infinities as Python writes them. */
export const TO_OLD: PayloadCodec = {
  content: ContentType.JSON,
  encode: (value) => encoder.encode(stringifyPythonJson(value)),
  decode,
};
