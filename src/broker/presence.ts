// Who is in an application, and in which of its channels. A connection is in a channel while it has at
// least one direct subscription there; wildcard subscribers listen to many channels and are in none.
// What changed is returned as events; whether anybody is told is for the caller to say.

export interface Member {
  readonly connectionId: string;
  readonly name: string | undefined;
  /** Who the connection proved to be; `undefined` without authentication. */
  readonly identity: unknown;
  readonly joinedAt: number;
}

export interface PresenceEvent<C extends object> {
  readonly kind: 'join' | 'leave';
  /** `undefined`: the application itself. */
  readonly channelId: string | undefined;
  readonly member: Member;
  readonly connection: C;
  readonly at: number;
}

export interface Left<C extends object, W> {
  readonly events: readonly PresenceEvent<C>[];
  /** What the connection wanted said after it; `undefined` where it said goodbye itself. */
  readonly will: W | undefined;
}

interface Seat<C extends object, W> {
  readonly connection: C;
  readonly member: Member;
  /** Channel to how many of its subscriptions are there. */
  readonly channels: Map<string, number>;
  will: W | undefined;
}

export class Presence<C extends object, W> {
  readonly #seats = new Map<C, Seat<C, W>>();
  readonly #rooms = new Map<string, Set<Seat<C, W>>>();

  /** How many connections are in the application. */
  get size(): number {
    return this.#seats.size;
  }

  connections(): readonly C[] {
    return [...this.#seats.keys()];
  }

  members(channelId?: string): readonly Member[] {
    const seats = channelId === undefined ? this.#seats.values() : (this.#rooms.get(channelId) ?? []);
    return Array.from(seats, (seat) => seat.member);
  }

  has(connection: C): boolean {
    return this.#seats.has(connection);
  }

  /** `undefined` where the connection is in already. */
  join(connection: C, who: Omit<Member, 'joinedAt'>, now: number): PresenceEvent<C> | undefined {
    if (this.#seats.has(connection)) return undefined;
    const { connectionId, name, identity } = who;
    const member: Member = { connectionId, name, identity, joinedAt: now };
    const seat: Seat<C, W> = { connection, member, channels: new Map(), will: undefined };
    this.#seats.set(connection, seat);
    return event('join', seat, undefined, now);
  }

  /** Leaves every channel, then the application. */
  leave(connection: C, goodbye: boolean, now: number): Left<C, W> {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return { events: [], will: undefined };
    const events: PresenceEvent<C>[] = [];
    for (const channelId of seat.channels.keys()) {
      this.#leaveRoom(channelId, seat);
      events.push(event('leave', seat, channelId, now));
    }
    this.#seats.delete(connection);
    events.push(event('leave', seat, undefined, now));
    return { events, will: goodbye ? undefined : seat.will };
  }

  /** One more subscription in the channel; an event where it is the connection's first there. */
  enter(connection: C, channelId: string, now: number): PresenceEvent<C> | undefined {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return undefined;
    const count = seat.channels.get(channelId) ?? 0;
    seat.channels.set(channelId, count + 1);
    if (count > 0) return undefined;
    const room = this.#rooms.get(channelId);
    if (room === undefined) this.#rooms.set(channelId, new Set([seat]));
    else room.add(seat);
    return event('join', seat, channelId, now);
  }

  /** One subscription fewer; an event where it was the connection's last there. */
  exit(connection: C, channelId: string, now: number): PresenceEvent<C> | undefined {
    const seat = this.#seats.get(connection);
    const count = seat?.channels.get(channelId);
    if (seat === undefined || count === undefined) return undefined;
    if (count > 1) {
      seat.channels.set(channelId, count - 1);
      return undefined;
    }
    seat.channels.delete(channelId);
    this.#leaveRoom(channelId, seat);
    return event('leave', seat, channelId, now);
  }

  /** `undefined` takes the will back. `false` where the connection is not in. */
  setWill(connection: C, will: W | undefined): boolean {
    const seat = this.#seats.get(connection);
    if (seat === undefined) return false;
    seat.will = will;
    return true;
  }

  #leaveRoom(channelId: string, seat: Seat<C, W>): void {
    const room = this.#rooms.get(channelId);
    room?.delete(seat);
    if (room?.size === 0) this.#rooms.delete(channelId);
  }
}

function event<C extends object, W>(
  kind: 'join' | 'leave',
  seat: Seat<C, W>,
  channelId: string | undefined,
  at: number,
): PresenceEvent<C> {
  return { kind, channelId, member: seat.member, connection: seat.connection, at };
}
