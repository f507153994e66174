// A request that the server has sent to a client and that is not answered yet.

import type { IPCError } from '../base/errors.ts';
import type { Frame } from '../protocol/codec.ts';
import { Deadline } from '../session/deadlines.ts';

export abstract class OutgoingCall extends Deadline {
  /** The id under which it went out; 0 before. */
  id = 0;
  abstract response(frame: Frame): void;
  abstract fail(error: IPCError): void;
  abstract streamData(frame: Frame): void;
  abstract streamEnd(): void;
}
