// Where a stream becomes a client: the first message of either protocol is read, credentials are checked,
// limits are met, and the peer takes over. Whoever does not get through in time is shown out.

import { randomUUID } from 'node:crypto';
import { ipcError, IPCError, toError } from '../base/errors.ts';
import {
  Connection,
  type ConnectionOptions,
  type ConnectionOwner,
  type FrameSource,
} from '../connection/connection.ts';
import { FrameCutter } from '../protocol/frame.ts';
import { FrameType, PROTOCOL_MAGIC, PROTOCOL_VERSION } from '../protocol/frame-types.ts';
import { decodeLegacy, type LegacyMessage } from '../protocol/legacy-json.ts';
import { HANDSHAKE_BYTES_MAX } from '../protocol/limits.ts';
import { checkApplicationId } from '../protocol/names.ts';
import { readFields, writeFields } from '../session/session.ts';
import type { Wire } from '../transports/wire.ts';
import { type HelloFields, helloFields } from './control-fields.ts';
import type { Hub } from './hub.ts';
import type { Guest } from './lobby.ts';
import { LegacyPeer } from './legacy-peer.ts';
import { NativePeer } from './native-peer.ts';
import { Patience } from '../transports/patience.ts';
import type { Peer } from './model.ts';
import type { Credentials } from './options.ts';
import type { PeerFacts } from './peer.ts';

const PRODUCT = 'isthmus';
export const CAPABILITIES = ['streams', 'credit', 'fragments'];

/** What the reception asks of the server. */
export interface ReceptionDesk {
  readonly hub: Hub;
  readonly connectionOptions: ConnectionOptions;
  /** Throws `LIMIT_CONNECTIONS` or `REMOTE_DRAINING`; otherwise the place is taken until `leave`. */
  enter(): void;
  leave(): void;
  /** The client is in the table of connections. */
  joined(peer: Peer): void;
  /** Tells the user, who may end the connection there and then. */
  announce(peer: Peer): void;
}

/** Receives a stream of the native protocol. */
export function receiveNative(desk: ReceptionDesk, wire: Wire, guest: Guest): void {
  const connection = new Connection(wire, desk.connectionOptions);
  connection.open(new NativeReception(desk, connection, guest));
}

class NativeReception implements ConnectionOwner {
  readonly #desk: ReceptionDesk;
  readonly #connection: Connection;
  readonly #guest: Guest;
  readonly #patience: Patience;
  #gone = false;
  #greeted = false;

  constructor(desk: ReceptionDesk, connection: Connection, guest: Guest) {
    this.#desk = desk;
    this.#connection = connection;
    this.#guest = guest;
    guest.cutOff = () => {
      const error = ipcError('LIMIT_CONNECTIONS', 'too many connections that have not finished the handshake');
      // As much of the goodbye as goes at once.
      connection.close(error);
      connection.destroy(error);
    };
    const { handshakeTimeoutMs } = desk.hub.context.settings;
    this.#patience = new Patience(handshakeTimeoutMs, () => {
      connection.close(ipcError('PEER_HANDSHAKE_TIMEOUT', `no handshake within ${handshakeTimeoutMs} ms`));
    });
  }

  /** Takes the first frame; what stands behind it is the peer's, once he is welcome. */
  frames(frames: FrameSource): void {
    const first = frames.next();
    if (first === undefined) return;
    if (first.type === FrameType.GOODBYE) {
      this.#connection.close(ipcError('REMOTE_CLOSED', 'the client said goodbye'));
      return;
    }
    if (this.#greeted) throw ipcError('PEER_UNEXPECTED_FRAME', 'a second HELLO');
    this.#greeted = true;
    if (first.id !== PROTOCOL_MAGIC) throw ipcError('PEER_MALFORMED_FRAME', 'HELLO without the magic number');
    if (first.channel > PROTOCOL_VERSION || first.value < PROTOCOL_VERSION) {
      throw ipcError(
        'PEER_VERSION',
        `this server speaks version ${PROTOCOL_VERSION}, the client ${first.channel} to ${first.value}`,
        {
          details: { server: PROTOCOL_VERSION, lowest: first.channel, highest: first.value },
        },
      );
    }
    const hello = helloFields(readFields(first));
    // Nothing is read while the credentials are looked at.
    this.#connection.hold();
    this.#guest.greeted();
    void this.#welcome(hello);
  }

  drained(): void {}

  /** Nobody comes in whose time ran out while his credentials were looked at. */
  ending(): void {
    this.#gone = true;
  }

  closed(): void {
    this.#gone = true;
    this.#guest.leave();
    this.#patience.end();
  }

  async #welcome(hello: HelloFields): Promise<void> {
    const { hub } = this.#desk;
    const connection = this.#connection;
    try {
      const { app: appId, token, name } = hello;
      const identity = await authenticate(hub, { appId, token, name, address: connection.peer });
      if (this.#gone) return;
      const facts = admit(this.#desk, { appId, name, label: undefined, identity });
      const peer = new NativePeer(
        hub,
        connection,
        facts,
        hello.streamWindowBytes ?? hub.context.settings.limits.streamWindowBytes,
      );
      // First, so that whatever ends the connection from here on finds who is to leave.
      connection.handOver(peer);
      join(this.#desk, peer, () => hub.joined(peer, hello.will));
      this.#guest.leave();
      connection.admitted();
      this.#patience.end();
      connection.session.become('open');
      peer.send(FrameType.WELCOME, 0, 0, PROTOCOL_VERSION, writeFields(this.#welcomeFields(facts)));
      this.#desk.announce(peer);
      connection.release();
    } catch (thrown) {
      this.#gone = true;
      this.#guest.dismissed();
      this.#patience.end();
      connection.close(asRefusal(thrown));
    }
  }

  #welcomeFields({ id, identity }: PeerFacts): object {
    const { limits, heartbeatIntervalMs } = this.#desk.hub.context.settings;
    const { messageBytesMax, publishWindowBytes, streamWindowBytes } = limits;
    return {
      connectionId: id,
      ...(identity === undefined ? {} : { identity }),
      server: PRODUCT,
      capabilities: CAPABILITIES,
      messageBytesMax,
      publishWindowBytes,
      streamWindowBytes,
      heartbeatIntervalMs,
      resumed: false,
    };
  }
}

/** Receives a stream of the old JSON protocol. */
export function receiveLegacy(desk: ReceptionDesk, wire: Wire, guest: Guest): void {
  const reception = new LegacyReception(desk, wire, guest);
  wire.open({
    data: (chunk) => reception.data(chunk),
    drain: () => reception.peer?.wireDrained(),
    close: (error) => reception.closed(error),
  });
}

class LegacyReception {
  peer: LegacyPeer | undefined;
  readonly #desk: ReceptionDesk;
  readonly #wire: Wire;
  readonly #guest: Guest;
  readonly #cutter = new FrameCutter(HANDSHAKE_BYTES_MAX);
  readonly #patience: Patience;
  #gone = false;

  constructor(desk: ReceptionDesk, wire: Wire, guest: Guest) {
    this.#desk = desk;
    this.#wire = wire;
    this.#guest = guest;
    this.#patience = new Patience(desk.hub.context.settings.handshakeTimeoutMs, () => this.#refuse());
  }

  data(chunk: Uint8Array): void {
    if (this.peer !== undefined) {
      this.peer.receive(chunk);
      return;
    }
    try {
      this.#cutter.push(chunk);
      if (!this.#cutter.next()) return;
      const hello = decodeLegacy(this.#cutter.buffer.subarray(this.#cutter.start, this.#cutter.end));
      this.#wire.pause();
      this.#guest.greeted();
      void this.#welcome(hello, this.#cutter.rest());
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  closed(error: Error | undefined): void {
    this.#gone = true;
    this.#patience.end();
    this.peer?.wireClosed(error);
  }

  async #welcome(message: LegacyMessage, rest: Uint8Array): Promise<void> {
    const { hub } = this.#desk;
    try {
      const { appId, label, token } = legacyHello(message);
      const identity = await authenticate(hub, { appId, token, name: label, address: this.#wire.peer });
      if (this.#gone) return;
      const facts = admit(this.#desk, { appId, name: label, label, identity });
      const peer = new LegacyPeer(hub, this.#wire, this.#desk.connectionOptions, facts);
      join(this.#desk, peer, () => hub.joined(peer, undefined));
      this.#guest.leave();
      this.#patience.end();
      this.peer = peer;
      // The client knows itself by its own label only; it is matched by being the first frame.
      peer.say('response', 'system', { status: 'connected', connection_id: label ?? facts.id }, null);
      this.#desk.announce(peer);
      this.#wire.resume();
      if (rest.length > 0) peer.receive(rest);
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  /** The original signals failure by closing; there is no word for why on its wire. */
  #refuse(thrown?: unknown): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#guest.dismissed();
    this.#patience.end();
    if (thrown !== undefined) this.#desk.hub.context.report(toError(thrown), undefined);
    this.#wire.hasten(this.#desk.connectionOptions.farewellMs);
    this.#wire.resume();
    this.#wire.end();
  }
}

function legacyHello(message: LegacyMessage): { appId: string; label: string | undefined; token: string | undefined } {
  const payload = typeof message.payload === 'object' && message.payload !== null ? message.payload : {};
  const fields = payload as Record<string, unknown>;
  if (message.messageType !== 'request' || fields['action'] !== 'connect') {
    throw ipcError(
      'PEER_UNEXPECTED_FRAME',
      'the first message of an old client must be a request with the action connect',
    );
  }
  const text = (name: string): string | undefined => (typeof fields[name] === 'string' ? fields[name] : undefined);
  return { appId: message.appId, label: text('connection_id'), token: text('token') };
}

async function authenticate(hub: Hub, credentials: Credentials): Promise<unknown> {
  checkApplicationId(credentials.appId);
  const check = hub.context.settings.authenticate;
  if (check === undefined) return undefined;
  let identity: unknown;
  try {
    identity = await check(credentials);
  } catch (thrown) {
    if (thrown instanceof IPCError) throw thrown;
    // Why the check failed is for the server's eyes.
    hub.context.report(toError(thrown), undefined);
    throw ipcError('REMOTE_UNAUTHENTICATED', 'the credentials were refused', { cause: thrown });
  }
  if (identity === undefined || identity === null || identity === false) {
    throw ipcError('REMOTE_UNAUTHENTICATED', 'the credentials were refused');
  }
  return identity;
}

/** Takes a place for the client, in the server and in its application. */
function admit(
  desk: ReceptionDesk,
  who: Pick<PeerFacts, 'name' | 'label' | 'identity'> & { appId: string },
): PeerFacts {
  const { hub } = desk;
  const now = hub.context.now();
  const { name, label, identity } = who;
  const application = hub.context.applications.applicationFor(who.appId, now);
  return { id: randomUUID(), label, name, identity, application, connectedAt: now };
}

function join(desk: ReceptionDesk, peer: Peer, run: () => void): void {
  desk.enter();
  try {
    run();
  } catch (thrown) {
    desk.leave();
    throw thrown;
  }
  desk.joined(peer);
}

function asRefusal(thrown: unknown): IPCError {
  return thrown instanceof IPCError
    ? thrown
    : ipcError('SYSTEM_UNEXPECTED', `unexpected: ${toError(thrown).message}`, { cause: thrown });
}
