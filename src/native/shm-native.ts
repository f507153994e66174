// The functions of native/addon/shm.cc. A status is one of src/shm/status.ts, or a negative errno; what
// else a call finds out stands in the block that was given to `open`.

declare const handleBrand: unique symbol;
/** An open handle of the addon; it means something only to the functions below. */
export interface ShmHandle {
  readonly [handleBrand]: true;
}

export interface ShmPeer {
  readonly slot: number;
  readonly generation: number;
  readonly pid: number;
  readonly role: number;
  readonly state: number;
  readonly lagBytes: number;
  readonly joinedAt: number;
  readonly name: string;
}

export interface ShmInfo {
  readonly slot: number;
  readonly type: number;
  readonly policy: number;
  readonly capacity: number;
  readonly fileBytes: number;
  readonly evictMs: number;
  readonly history: number;
  readonly latest: number;
  readonly layoutVersion: number;
  readonly createdAt: number;
  readonly inlineLimit: number;
  readonly wholeLimit: number;
  readonly position: number;
  readonly nextSequence: number;
}

export interface ShmNative {
  open(
    block: Float64Array,
    name: string,
    type: number,
    role: number,
    policy: number,
    capacity: number,
    evictMs: number,
    history: number,
    flags: number,
    peerName: string,
  ): ShmHandle | number;
  close(handle: ShmHandle): void;
  /** `flags`: 1 whole or not at all, 2 go on with the message of which a part is sent. */
  send(handle: ShmHandle, bytes: Uint8Array, flags: number): number;
  sendBatch(handle: ShmHandle, slab: Uint8Array, bytes: number): number;
  setSlab(handle: ShmHandle, slab: Uint8Array): number;
  /** A slab of memory that is used again once it was collected; a status where the runtime forbids that. */
  newSlab(handle: ShmHandle, bytes: number): ArrayBuffer | number;
  /** A message of more than `largest` bytes is left where it is. */
  receiveBatch(handle: ShmHandle, offset: number, max: number, largest: number): number;
  receiveInto(handle: ShmHandle, bytes: Uint8Array): number;
  receiveOwned(handle: ShmHandle): ArrayBuffer | number;
  takeLarge(handle: ShmHandle): ArrayBuffer | number;
  takeLargeInto(handle: ShmHandle, bytes: Uint8Array): number;
  receiveView(handle: ShmHandle): ArrayBuffer | number;
  releaseView(handle: ShmHandle, buffer: ArrayBuffer, ticket: number): void;
  loan(handle: ShmHandle, bytes: number): ArrayBuffer | number;
  commitLoan(handle: ShmHandle, buffer: ArrayBuffer, bytes: number): number;
  ready(handle: ShmHandle, what: number): number;
  spin(handle: ShmHandle, what: number, micros: number): number;
  wait(handle: ShmHandle, what: number, ms: number): number;
  arm(handle: ShmHandle, what: number): number;
  disarm(handle: ShmHandle, what: number): void;
  /** A descriptor that becomes readable when rung. */
  bell(handle: ShmHandle): number;
  bellLost(handle: ShmHandle): number;
  /** Where a bell is no descriptor (Windows): calls the listener after it rang. */
  watchBell(handle: ShmHandle, listener: () => void): number;
  holdBell(handle: ShmHandle, hold: boolean): void;
  unwatchBell(handle: ShmHandle): void;
  count(handle: ShmHandle, role: number): number;
  left(handle: ShmHandle, slot: number): number;
  evictDead(handle: ShmHandle): number;
  rejoin(handle: ShmHandle): number;
  publish(handle: ShmHandle): void;
  /** Gives memory back to the system that has not been used for a while. */
  tidy(): void;
  peers(handle: ShmHandle): ShmPeer[];
  info(handle: ShmHandle): ShmInfo | number;
  list(): { name: string; group: number }[];
  /** Where the file of such a channel lies, whether there is one or not. */
  path(name: string, group: boolean): string;
  clear(name: string, group: boolean): number;
  /** Only in builds for tests. */
  armFault?(point: string, countdown: number, stopOnly: boolean): void;
}
