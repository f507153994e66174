// node-ipc ships no types: as much of it as its adapter uses.
declare module 'node-ipc' {
  import type { Server as NetServer, Socket } from 'node:net';

  interface Peer {
    socket: Socket;
    on(type: string, listener: (data: string) => void): void;
    emit(type: string, data?: unknown): boolean;
  }

  interface Server {
    server: NetServer;
    sockets: Socket[];
    on(type: string, listener: (data: string, socket: Socket) => void): void;
    emit(socket: Socket, type: string, data?: unknown): boolean;
    broadcast(type: string, data: unknown): boolean;
    start(): void;
    stop(): void;
  }

  export class IPCModule {
    config: {
      id: string;
      silent: boolean;
      socketRoot: string;
      maxConnections: number;
      stopRetrying: boolean;
    };
    of: Record<string, Peer | undefined>;
    server: Server;
    serve(path: string, started: () => void): void;
    serveNet(host: string, port: number, started: () => void): void;
    connectTo(id: string, path: string): void;
    connectToNet(id: string, host: string, port: number): void;
    disconnect(id: string): void;
  }
}
