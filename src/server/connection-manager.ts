// Who is connected. The documented interface; a user's own class can take its place.

import type { ServerConnection } from './model.ts';

/** The table of connections. Whatever implements it can be given to a server. */
export interface ConnectionManager {
  addConnection(connection: ServerConnection): void;
  /** Removes this very connection; another one of the same id stays. */
  removeConnection(connection: ServerConnection): void;
  getConnection(connectionId: string): ServerConnection | undefined;
  getConnectionsForApp(appId: string): readonly ServerConnection[];
  listConnections(): readonly ServerConnection[];
  getConnectionCount(): number;
  /** Called for every connection that sent something, about once a second. */
  updateActivity(connectionId: string): void;
}

/** The table that is used unless another is given. */
export class MemoryConnectionManager implements ConnectionManager {
  readonly #byId = new Map<string, ServerConnection>();
  readonly #byApp = new Map<string, Set<ServerConnection>>();

  addConnection(connection: ServerConnection): void {
    this.#byId.set(connection.id, connection);
    const group = this.#byApp.get(connection.appId);
    if (group === undefined) this.#byApp.set(connection.appId, new Set([connection]));
    else group.add(connection);
  }

  removeConnection(connection: ServerConnection): void {
    if (this.#byId.get(connection.id) === connection) this.#byId.delete(connection.id);
    const group = this.#byApp.get(connection.appId);
    group?.delete(connection);
    if (group?.size === 0) this.#byApp.delete(connection.appId);
  }

  getConnection(connectionId: string): ServerConnection | undefined {
    return this.#byId.get(connectionId);
  }

  getConnectionsForApp(appId: string): readonly ServerConnection[] {
    return [...(this.#byApp.get(appId) ?? [])];
  }

  listConnections(): readonly ServerConnection[] {
    return [...this.#byId.values()];
  }

  getConnectionCount(): number {
    return this.#byId.size;
  }

  updateActivity(): void {
    // A peer knows itself when it was last heard.
  }
}
