// One open handle of the addon, with names for its numbers. Everything of this folder that touches the
// addon does it through a Ring.

import { loadBinding } from '../native/binding.ts';
import type { ShmHandle, ShmInfo, ShmNative } from '../native/shm-native.ts';
import { type ChannelType, MAX_MESSAGE_BYTES, POLICIES, type ResolvedOptions } from './options.ts';
import { refusal } from './refusal.ts';
import { type Activity, checked, closedError, errorOfStatus, type ShmError, shmError, STATUS } from './status.ts';

/** What one can wait for; native/addon/shm.cc counts them the same. */
export const WAIT = { data: 0, space: 1, presence: 2 } as const;
export type WaitFor = (typeof WAIT)[keyof typeof WAIT];

/** The places of the block in which the addon leaves results. */
const PLACE = { sequence: 0, missed: 1, bytes: 2, count: 3, used: 4, ticket: 5 } as const;
const BLOCK_PLACES = 8;

const FLAG = { latest: 1, group: 2, anyPolicy: 4, mustExist: 8, anyType: 16, echo: 32 } as const;

const SEND = { whole: 1, resume: 2 } as const;

/** The role of whoever only looks: he takes no slot. */
export const ONLOOKER = 0;

let functions: ShmNative | undefined;

/** The functions of the addon, or `SYSTEM_NO_ADDON` where it or its platform layer is missing. */
export function shmNative(): ShmNative {
  const { shm } = checked('open', loadBinding);
  // The engine keeps an object with so many properties as a hash table, unless it is a prototype: every call would
  // look its function up.
  if (shm) return (functions ??= Object.create(shm) as ShmNative);
  throw shmError('open', 'SYSTEM_NO_ADDON', `shared-memory channels are not there for ${process.platform}`, {
    platform: process.platform,
  });
}

/** A handle, or the status that says why there is none. Without a type: of whatever type. */
function open(
  native: ShmNative,
  block: Float64Array,
  encoded: string,
  type: ChannelType | undefined,
  role: number,
  options: ResolvedOptions,
): ShmHandle | number {
  const flags =
    (options.latest ? FLAG.latest : 0) |
    (options.group ? FLAG.group : 0) |
    (options.anyPolicy ? FLAG.anyPolicy : 0) |
    (options.mustExist ? FLAG.mustExist : 0) |
    (type === undefined ? FLAG.anyType : 0) |
    (options.echo ? FLAG.echo : 0);
  const policy = POLICIES.indexOf(options.policy);
  const { capacityBytes, evictAfterMs, history, peerName } = options;
  return native.open(block, encoded, type ?? 0, role, policy, capacityBytes, evictAfterMs, history, flags, peerName);
}

/** How the channel of this name is made, whatever its type and policy; undefined when this version cannot tell. */
function lookAt(native: ShmNative, encoded: string, options: ResolvedOptions): ShmInfo | undefined {
  const any = { ...options, anyPolicy: true, mustExist: true };
  const handle = open(native, new Float64Array(BLOCK_PLACES), encoded, undefined, ONLOOKER, any);
  if (typeof handle === 'number') return undefined;
  const info = native.info(handle);
  native.close(handle);
  return typeof info === 'number' ? undefined : info;
}

export class Ring {
  readonly name: string;
  readonly info: ShmInfo;
  readonly #native: ShmNative;
  readonly #handle: ShmHandle;
  readonly #block = new Float64Array(BLOCK_PLACES);
  #open = true;

  constructor(name: string, encoded: string, type: ChannelType | undefined, role: number, options: ResolvedOptions) {
    this.name = name;
    this.#native = shmNative();
    const opened = open(this.#native, this.#block, encoded, type, role, options);
    if (typeof opened === 'number') {
      const { group } = options;
      const look = (): ShmInfo | undefined => lookAt(this.#native, encoded, options);
      throw refusal(opened, { name, type, options, path: this.#native.path(encoded, group), look });
    }
    this.#handle = opened;
    const info = this.#native.info(opened);
    if (typeof info === 'number') throw errorOfStatus('open', info, name);
    this.info = info;
  }

  get isOpen(): boolean {
    return this.#open;
  }
  /** Whether what lies in the ring stays until it was read, so that views into it are safe. */
  get keepsAll(): boolean {
    return this.info.policy === 0;
  }
  get sequence(): number {
    return this.#at(PLACE.sequence);
  }
  get missed(): number {
    return this.#at(PLACE.missed);
  }
  get bytes(): number {
    return this.#at(PLACE.bytes);
  }
  get count(): number {
    return this.#at(PLACE.count);
  }
  get used(): number {
    return this.#at(PLACE.used);
  }
  get ticket(): number {
    return this.#at(PLACE.ticket);
  }
  #at(place: number): number {
    return this.#block[place] ?? 0;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#native.close(this.#handle);
  }

  send(bytes: Uint8Array, whole: boolean, resume: boolean): number {
    const status = this.#native.send(this.#handle, bytes, (whole ? SEND.whole : 0) | (resume ? SEND.resume : 0));
    if (status === STATUS.tooLarge) throw this.#tooLarge(bytes.length, whole);
    return status;
  }
  #tooLarge(bytes: number, whole: boolean): ShmError {
    const { latest, inlineLimit, wholeLimit } = this.info;
    const maxBytes = latest === 1 ? inlineLimit : whole ? wholeLimit : MAX_MESSAGE_BYTES;
    const message = `channel '${this.name}': a message of ${bytes} bytes, where at most ${maxBytes} can be sent this way`;
    return shmError('send', 'LIMIT_MESSAGE_BYTES', message, { channel: this.name, bytes, maxBytes });
  }
  sendBatch(slab: Uint8Array, bytes: number): number {
    return this.#native.sendBatch(this.#handle, slab, bytes);
  }
  setSlab(slab: Uint8Array): void {
    this.#native.setSlab(this.#handle, slab);
  }
  newSlab(bytes: number): ArrayBuffer | number {
    return this.#native.newSlab(this.#handle, bytes);
  }
  /** A message of more than `largest` bytes is left where it is. */
  receiveBatch(offset: number, max: number, largest: number): number {
    return this.#native.receiveBatch(this.#handle, offset, max, largest);
  }
  receiveInto(bytes: Uint8Array): number {
    return this.#native.receiveInto(this.#handle, bytes);
  }
  /** The next message in memory of its own. */
  receiveOwned(): ArrayBuffer | number {
    return this.#native.receiveOwned(this.#handle);
  }
  takeLarge(): ArrayBuffer {
    const taken = this.#native.takeLarge(this.#handle);
    if (typeof taken === 'number') throw this.error('receive', taken);
    return taken;
  }
  takeLargeInto(bytes: Uint8Array): void {
    this.check('receive', this.#native.takeLargeInto(this.#handle, bytes));
  }
  receiveView(): ArrayBuffer | number {
    return this.#native.receiveView(this.#handle);
  }
  releaseView(buffer: ArrayBuffer, ticket: number): void {
    this.#native.releaseView(this.#handle, buffer, ticket);
  }
  loan(bytes: number): ArrayBuffer | number {
    return this.#native.loan(this.#handle, bytes);
  }
  commitLoan(buffer: ArrayBuffer, bytes: number): number {
    return this.#native.commitLoan(this.#handle, buffer, bytes);
  }
  /** Whether there may be something. */
  ready(what: WaitFor): boolean {
    return this.#native.ready(this.#handle, what) === 1;
  }
  /** The same, looking for a while. */
  spin(what: WaitFor, micros: number): boolean {
    return this.#native.spin(this.#handle, what, micros) === 1;
  }
  /** Blocks the thread for at most this long. */
  wait(what: WaitFor, ms: number): boolean {
    return this.#native.wait(this.#handle, what, ms) === 1;
  }
  /** Has the bell rung with the next news; true when there is some already. */
  arm(what: WaitFor): boolean {
    return this.#native.arm(this.#handle, what) === 1;
  }
  disarm(what: WaitFor): void {
    this.#native.disarm(this.#handle, what);
  }
  /** A descriptor to read the bell from, owned by the caller; negative: there is none. */
  bell(): number {
    return this.#native.bell(this.#handle);
  }
  /** Has the listener called after rings, where a bell is no descriptor; negative: it cannot be. */
  watchBell(listener: () => void): number {
    return this.#native.watchBell(this.#handle, listener);
  }
  /** Whether the process stays for the bell that is watched. */
  holdBell(hold: boolean): void {
    this.#native.holdBell(this.#handle, hold);
  }
  unwatchBell(): void {
    this.#native.unwatchBell(this.#handle);
  }
  get bellLost(): boolean {
    return this.#native.bellLost(this.#handle) === 1;
  }
  countOf(role: number): number {
    return this.#native.count(this.#handle, role);
  }
  lastLeft(slot: number): number {
    return this.#native.left(this.#handle, slot);
  }
  peers(): ReturnType<ShmNative['peers']> {
    return this.#native.peers(this.#handle);
  }
  rejoin(): number {
    return this.#native.rejoin(this.#handle);
  }
  tidy(): void {
    this.#native.tidy();
  }
  publish(): void {
    this.#native.publish(this.#handle);
  }
  currentInfo(): ShmInfo {
    const info = this.#native.info(this.#handle);
    if (typeof info === 'number') throw this.error('open', info);
    return info;
  }

  error(activity: Activity, status: number): ShmError {
    return this.#open ? errorOfStatus(activity, status, this.name) : closedError(activity, this.name);
  }
  /** Throws unless the status is `ok`. */
  check(activity: Activity, status: number): void {
    if (status !== STATUS.ok) throw this.error(activity, status);
  }
}
