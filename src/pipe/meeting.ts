// How a sender gets from a name to a lane: it knocks, and waits for the welcome.

import { knock, type NewLane } from './fifo-door.ts';
import type { GoodbyeCode } from './frames.ts';
import { LaneClient, type LaneClientHost } from './lane-client.ts';
import type { PipePlace } from './names.ts';
import { connectTo } from './socket-door.ts';

/** How often a sender that waits for its welcome looks whether the listener still lives. */
const LOOK_EVERY_MS = 25;

/**
 * Gives the lane; `absent` when no listener of ours is there; else why it lets nobody in. `isWanted` is
 * asked now and then: when it says no, the attempt ends as `absent`.
 *
 * @throws PipeError when the system does not let us try
 */
export async function meet(
  place: PipePlace,
  senderId: string,
  host: LaneClientHost,
  isWanted: () => boolean,
): Promise<LaneClient | GoodbyeCode | 'absent'> {
  const lane = place.kind === 'fifo' ? knock(place) : connectTo(place);
  if (lane === undefined) return 'absent';
  try {
    const met = await welcome(lane, senderId, host, isWanted);
    const failure = met === 'absent' ? lane.failure() : undefined;
    if (failure !== undefined) throw failure;
    return met;
  } finally {
    lane.settle();
  }
}

function welcome(
  lane: NewLane,
  senderId: string,
  host: LaneClientHost,
  isWanted: () => boolean,
): Promise<LaneClient | GoodbyeCode | 'absent'> {
  return new Promise((resolve) => {
    let isMet = false;
    const finish = (result: LaneClient | GoodbyeCode | 'absent'): void => {
      clearInterval(look);
      resolve(result);
    };
    const client = new LaneClient(lane.stream, senderId, {
      ...host,
      welcomed: () => {
        isMet = true;
        host.welcomed(client);
        finish(client);
      },
      over: (over, goodbye) => {
        if (isMet) host.over(over, goodbye);
        else finish(goodbye ?? 'absent');
      },
    });
    const look = setInterval(() => {
      if (!lane.isListenerThere() || !isWanted()) client.abandon();
    }, LOOK_EVERY_MS);
  });
}
