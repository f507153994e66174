// What travels on the channels of an application: for the compiler as an interface, and with Standard
// Schema validators at run time, too. Each side checks what it sends and what it receives.

import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ipcError, type IPCError, type IPCErrorOptions } from '../base/errors.ts';
import type { ErrorCode } from '../base/error-codes.ts';
import { invalidOption, knownOptions } from '../base/options.ts';

/** The shape of a contract; anything goes on any channel. */
export interface AnyContract {
  /** By channel: what a request and its response are. */
  readonly requests: Readonly<Record<string, { readonly request: unknown; readonly response: unknown }>>;
  /** By channel: what is published. */
  readonly events: Readonly<Record<string, unknown>>;
}

declare const INPUT: unique symbol;
declare const OUTPUT: unique symbol;

/** A value that its schema changes on the way in: a text that becomes a date, a default that is filled in. */
export interface Transformed<I, O> {
  readonly [INPUT]: I;
  readonly [OUTPUT]: O;
}

type Sent<T> = T extends Transformed<infer I, unknown> ? I : T;
type Received<T> = T extends Transformed<unknown, infer O> ? O : T;

type Requests<C> = C extends { readonly requests: infer R } ? R : never;
type Events<C> = C extends { readonly events: infer E } ? E : never;
type RequestPart<C, K extends RequestChannel<C>, P extends string> =
  Requests<C>[K] extends Readonly<Record<P, infer T>> ? T : unknown;
type EventPart<C, K extends string> = K extends EventChannel<C> ? Events<C>[K] : Events<C>[EventChannel<C>];

/** Channels of a contract that take requests. */
export type RequestChannel<C> = keyof Requests<C> & string;
/** Channels of a contract that carry events. */
export type EventChannel<C> = keyof Events<C> & string;

/** What a caller sends on the channel, and what its handler receives. */
export type RequestOf<C, K extends RequestChannel<C>> = Sent<RequestPart<C, K, 'request'>>;
export type ReceivedRequestOf<C, K extends RequestChannel<C>> = Received<RequestPart<C, K, 'request'>>;
/** What a caller receives on the channel, and what its handler sends. */
export type ResponseOf<C, K extends RequestChannel<C>> = Received<RequestPart<C, K, 'response'>>;
export type SentResponseOf<C, K extends RequestChannel<C>> = Sent<RequestPart<C, K, 'response'>>;

/** A pattern with a wildcard: `orders.*`, `orders.>`. */
export type WildcardPattern = `${string}*${string}` | '>' | `${string}.>`;
/** What an event on the channel carries for its subscribers; on a pattern, any of the contract's. */
export type EventOf<C, K extends string> = Received<EventPart<C, K>>;
/** What is published on the channel. */
export type SentEventOf<C, K extends EventChannel<C>> = Sent<EventPart<C, K>>;

/** Validators by channel: zod, valibot, arktype and whatever else is a Standard Schema. They must be synchronous. */
export interface ContractSchemas {
  /** By channel: schemas of a request and of its response. What is left out is not checked. */
  readonly requests?: Readonly<
    Record<string, { readonly request?: StandardSchemaV1; readonly response?: StandardSchemaV1 }>
  >;
  /** By channel: schema of what is published. */
  readonly events?: Readonly<Record<string, StandardSchemaV1>>;
}

type Described<S> = S extends StandardSchemaV1
  ? Transformed<StandardSchemaV1.InferInput<S>, StandardSchemaV1.InferOutput<S>>
  : unknown;

/** The contract that validators describe. */
export interface DescribedContract<S extends ContractSchemas> {
  readonly requests: {
    readonly [K in keyof S['requests']]: {
      readonly request: Described<S['requests'][K] extends { readonly request: infer Q } ? Q : undefined>;
      readonly response: Described<S['requests'][K] extends { readonly response: infer R } ? R : undefined>;
    };
  };
  readonly events: { readonly [K in keyof S['events']]: Described<S['events'][K]> };
}

/** Which of a channel's values is meant. */
export type ContractPart = 'request' | 'response' | 'event';

/** A contract that is checked at run time. Made by {@link defineContract}. */
export class Contract<C = AnyContract> {
  /** For the compiler alone. */
  declare readonly described: C;
  readonly #schemas: Readonly<Record<ContractPart, ReadonlyMap<string, StandardSchemaV1>>>;

  constructor(schemas: ContractSchemas) {
    knownOptions('contract', schemas, ['requests', 'events']);
    const empty = () => new Map<string, StandardSchemaV1>();
    const parts = { request: empty(), response: empty(), event: empty() };
    for (const [channel, described] of Object.entries(schemas.requests ?? {})) {
      knownOptions(`contract.requests.${channel}`, described, ['request', 'response']);
      for (const part of ['request', 'response'] as const) add(parts[part], channel, described[part]);
    }
    for (const [channel, schema] of Object.entries(schemas.events ?? {})) add(parts.event, channel, schema);
    this.#schemas = parts;
  }

  /** Throws `USAGE_INVALID_PAYLOAD` for what must not be sent. What is sent is the value as it is, not what the schema makes of it. */
  checkSent(part: ContractPart, channel: string, value: unknown): void {
    this.#validate(part, channel, value, 'USAGE_INVALID_PAYLOAD');
  }

  /** Gives what the schema makes of a received value; throws `code` for what does not fit. */
  readReceived(
    part: ContractPart,
    channel: string,
    value: unknown,
    code: ErrorCode = 'PEER_MALFORMED_PAYLOAD',
  ): unknown {
    return this.#validate(part, channel, value, code);
  }

  #validate(part: ContractPart, channel: string, value: unknown, code: ErrorCode): unknown {
    const schema = this.#schemas[part].get(channel);
    if (schema === undefined) return value;
    const result = schema['~standard'].validate(value);
    if (result instanceof Promise) {
      // Nobody will look at it.
      result.catch(() => {});
      throw invalidOption('contract', `an asynchronous schema for '${channel}'`, 'schemas that validate at once');
    }
    if (result.issues === undefined) return result.value;
    throw unfit(part, channel, result.issues, code);
  }
}

/**
 * Describes the channels of an application by validators. Clients and servers that are given the contract
 * check every payload, and the compiler knows the types.
 *
 * Throws `USAGE_INVALID_OPTION` for what is no Standard Schema.
 *
 * @example
 * ```ts
 * const shop = defineContract({
 *   requests: { sum: { request: z.array(z.number()), response: z.number() } },
 *   events: { 'orders.created': z.object({ id: z.string() }) },
 * });
 * const client = new IPCClient('shop', { contract: shop });
 * ```
 */
export function defineContract<const S extends ContractSchemas>(schemas: S): Contract<DescribedContract<S>> {
  return new Contract<DescribedContract<S>>(schemas);
}

function add(map: Map<string, StandardSchemaV1>, channel: string, schema: StandardSchemaV1 | undefined): void {
  if (schema === undefined) return;
  const fits = (typeof schema === 'object' || typeof schema === 'function') && schema !== null && '~standard' in schema;
  if (!fits) throw invalidOption(`contract '${channel}'`, schema, 'a Standard Schema');
  map.set(channel, schema);
}

function unfit(
  part: ContractPart,
  channel: string,
  found: readonly StandardSchemaV1.Issue[],
  code: ErrorCode,
): IPCError {
  const issues = found.map(({ message, path }) => ({
    message,
    path: (path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.'),
  }));
  const first = issues[0];
  const where = first === undefined || first.path === '' ? '' : ` at ${first.path}`;
  const details: IPCErrorOptions['details'] = { channel, part, issues };
  return ipcError(code, `the ${part} on '${channel}' does not fit its schema${where}: ${first?.message ?? ''}`, {
    details,
  });
}
