// @ts-check
// The one interface that every party implements, so that the harness treats all of them alike.

export const TRANSPORTS = /** @type {const} */ (['unix', 'tcp', 'websocket', 'stdio']);

/** direct: one of the two ends is the hub itself; forwarded: the hub stands between sender and receivers. */
export const TOPOLOGIES = /** @type {const} */ (['direct', 'forwarded']);

/**
 * @typedef {(typeof TRANSPORTS)[number]} Transport
 * @typedef {(typeof TOPOLOGIES)[number]} Topology
 * @typedef {'request' | 'oneway' | 'fanout' | 'idle'} Work
 * @typedef {Buffer | string} Payload
 */

/**
 * @typedef {object} Setting what a role needs to know to play its part
 * @property {Transport} transport
 * @property {Topology} topology
 * @property {Work} work
 * @property {string} variant one adapter may have several variants, such as batched and unbatched
 * @property {string} directory private to one measurement; sockets go here
 * @property {string} path of the Unix socket
 * @property {string} host
 * @property {number} port 0 until the hub has told its own
 * @property {number} sizeBytes of a payload
 * @property {number} subscribers that the hub waits for
 */

/**
 * @typedef {(payload: Payload, start: number, end: number) => void} Receive
 *   Must be called once for each message that arrives; reads the first and the last byte.
 */

/**
 * @typedef {object} Sender
 * @property {Send} send a promise means: wait before the next one
 * @property {() => void | Promise<unknown>} close
 * @property {() => Promise<Tally[]>} [tallies] when the receivers are not workers of the harness
 *
 * @typedef {{ of(payload: Payload): void | Promise<unknown> }['of']} Send
 *   written as a method: an adapter knows whether its payloads are bytes or text
 * @typedef {{ of(payload: Payload, done: (reply: Payload) => void): void }['of']} Request
 *
 * @typedef {object} Tally what one receiver has counted
 * @property {number} received
 * @property {number} corrupt
 * @property {number} atMs on the clock of the process that counts
 *
 * @typedef {Setting & { kind: 'bytes' | 'text', count: number, windowMessages: number, markEvery: number }} Task
 *   what the harness tells a worker: the setting, how many connections, and how much may be under way
 *
 * @typedef {object} Hub
 * @property {number} [port]
 * @property {number} [pid] of the process that holds the connections, when it is not the worker itself
 * @property {Sender} [sender] for a direct fan-out
 * @property {() => void | Promise<unknown>} close
 *
 * @typedef {object} Requester
 * @property {Request} request
 * @property {() => void | Promise<unknown>} close
 *
 * @typedef {object} Party one variant of an adapter, as the plan sees it
 * @property {string} name
 * @property {string} variant
 * @property {string} [note]
 *
 * @typedef {object} Adapter
 * @property {Party[]} parties
 * @property {Transport[]} transports
 * @property {Partial<Record<Work, Topology[]>>} works what it can do
 * @property {boolean} [separate] true when every subscriber is necessarily a process of its own
 * @property {boolean} [broker] true when requests go through a third process
 * @property {(variant: string, work: Work) => boolean} [paced] true when the party has no backpressure of its own
 *   and the harness bounds what is under way
 * @property {(variant: string) => 'bytes' | 'text'} [payload] defaults to bytes
 * @property {() => Promise<string>} version throws when the party is absent
 * @property {(setting: Setting, receive: Receive) => Promise<Hub>} serve
 * @property {(setting: Setting) => Promise<Requester>} [requester]
 * @property {(setting: Setting) => Promise<Sender>} [sender]
 * @property {(setting: Setting, receive: Receive) => Promise<{ close(): void | Promise<unknown> }>} [receiver]
 * @property {(setting: Setting) => Promise<{ close(): void | Promise<unknown> }>} [idle]
 */
