// Who is connected. The documented interface; a user's own class can take its place.

import type { ServerConnection } from './model.ts';

/** The table of connections. Whatever implements it can be given to a server. */
export interface ConnectionManager {
  /** A client has come in. */
  addConnection(connection: ServerConnection): void;
  /** Removes this very connection; another one of the same id stays. */
  removeConnection(connection: ServerConnection): void;
  /** The connection of this id, if it is here. */
  getConnection(connectionId: string): ServerConnection | undefined;
  /** Those of one application. */
  getConnectionsForApp(appId: string): readonly ServerConnection[];
  /** All of them. */
  listConnections(): readonly ServerConnection[];
  /** How many there are. */
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
