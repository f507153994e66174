// What travels on the channels of an application, for the compiler: a contract is an interface that lists
// requests and events by channel.

/** The shape of a contract; anything goes on any channel. */
export interface AnyContract {
  readonly requests: Readonly<Record<string, { readonly request: unknown; readonly response: unknown }>>;
  readonly events: Readonly<Record<string, unknown>>;
}

type Requests<C> = C extends { readonly requests: infer R } ? R : never;
type Events<C> = C extends { readonly events: infer E } ? E : never;

/** Channels of a contract that take requests. */
export type RequestChannel<C> = keyof Requests<C> & string;
/** Channels of a contract that carry events. */
export type EventChannel<C> = keyof Events<C> & string;

/** What a request on the channel carries. */
export type RequestOf<C, K extends RequestChannel<C>> = Requests<C>[K] extends { readonly request: infer Q }
  ? Q
  : unknown;
/** What the response on the channel carries. */
export type ResponseOf<C, K extends RequestChannel<C>> = Requests<C>[K] extends { readonly response: infer R }
  ? R
  : unknown;

/** A pattern with a wildcard: `orders.*`, `orders.>`. */
export type WildcardPattern = `${string}*${string}` | '>' | `${string}.>`;
/** What an event on the channel carries; on a pattern, any of the contract's. */
export type EventOf<C, K extends string> = K extends EventChannel<C> ? Events<C>[K] : Events<C>[EventChannel<C>];
