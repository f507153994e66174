// The JSON members of control frames that clients send, checked: docs/protocol.md, "Frame types".

import { type IPCError, ipcError } from '../base/errors.ts';
import { OUTBOX_POLICIES, type OutboxPolicy } from '../protocol/policies.ts';
import { writeFields } from '../session/session.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface SubscribeFields {
  readonly pattern: string;
  readonly policy: OutboxPolicy | undefined;
  readonly outboxBytesMax: number | undefined;
  readonly retained: boolean;
}

export function subscribeFields(fields: Fields): SubscribeFields {
  const policy = fields['policy'];
  return {
    pattern: textField(fields, 'pattern'),
    policy: policy === undefined ? undefined : policyOf(policy),
    outboxBytesMax: integerField(fields, 'outboxBytesMax', 1, 2 ** 31 - 1),
    retained: fields['retained'] !== false,
  };
}

export interface ServeFields {
  readonly channel: string;
  readonly maxInFlight: number;
}

const SERVE_IN_FLIGHT_MAX = 1024;

export function serveFields(fields: Fields): ServeFields {
  return {
    channel: textField(fields, 'channel'),
    maxInFlight: integerField(fields, 'maxInFlight', 1, 1_000_000) ?? SERVE_IN_FLIGHT_MAX,
  };
}

export interface WillFields {
  readonly channel: string;
  readonly content: number;
  readonly payload: Uint8Array;
}

export interface HelloFields {
  readonly app: string;
  readonly name: string | undefined;
  readonly token: string | undefined;
  readonly messageBytesMax: number | undefined;
  readonly streamWindowBytes: number | undefined;
  readonly will: WillFields | undefined;
}

export function helloFields(fields: Fields): HelloFields {
  return {
    app: textField(fields, 'app'),
    name: optionalText(fields, 'name'),
    token: optionalText(fields, 'token'),
    messageBytesMax: integerField(fields, 'messageBytesMax', 1024, 2 ** 32 - 1),
    streamWindowBytes: integerField(fields, 'streamWindowBytes', 1, 2 ** 32 - 1),
    will: willField(fields['will']),
  };
}

/** The payload of an ERROR. */
export function errorFields({ code, message, details }: IPCError): Uint8Array {
  return writeFields({ code, message, details: plainDetails(details) });
}

/** Details as JSON can carry them; what it cannot is left out rather than fail the report of a failure. */
function plainDetails(details: Readonly<Record<string, unknown>>): unknown {
  try {
    return JSON.parse(JSON.stringify(details)) as unknown;
  } catch {
    return undefined;
  }
}

function willField(value: unknown): WillFields | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') throw wrong('will', 'an object');
  const fields = value as Fields;
  return {
    channel: textField(fields, 'channel'),
    content: integerField(fields, 'content', 0, 255) ?? 0,
    payload: Buffer.from(optionalText(fields, 'payload') ?? '', 'base64'),
  };
}

function policyOf(value: unknown): OutboxPolicy {
  const policy = OUTBOX_POLICIES.find((one) => one === value);
  if (policy === undefined) throw wrong('policy', `one of ${OUTBOX_POLICIES.join(', ')}`);
  return policy;
}

function textField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw wrong(name, 'a text');
  return value;
}

function optionalText(fields: Fields, name: string): string | undefined {
  return fields[name] === undefined || fields[name] === null ? undefined : textField(fields, name);
}

function integerField(fields: Fields, name: string, min: number, max: number): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw wrong(name, `an integer from ${min} to ${max}`);
  }
  return value;
}

function wrong(name: string, expected: string) {
  return ipcError('PEER_MALFORMED_FRAME', `member ${name}: expected ${expected}`, {
    details: { member: name, expected },
  });
}
