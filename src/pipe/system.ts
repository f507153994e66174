// Which kind of pipes this system has.

export interface PipeSystem {
  /** The address of a name where pipes are sockets that are connected to; undefined where they are FIFOs. */
  addressOf: ((name: string) => string) | undefined;
}

/** Windows has no FIFOs; its own named pipes are what `node:net` calls a local socket. Tests put Unix sockets in their place. */
export const system: PipeSystem = {
  addressOf: process.platform === 'win32' ? (name) => `\\\\.\\pipe\\${name}` : undefined,
};
