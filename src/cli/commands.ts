// The table of commands, in the order of the help.

import { call } from './call.ts';
import type { Command } from './command.ts';
import { completion } from './completion.ts';
import { pipe } from './pipe.ts';
import { pub } from './pub.ts';
import { serve } from './serve.ts';
import { shm } from './shm.ts';
import { sub } from './sub.ts';

export const COMMANDS: readonly Command[] = [serve, pub, sub, call, pipe, shm, completion];
