// What hears a bell: a socket over its FIFO, or on Windows, where a bell is an event of the system's, a
// thread of the system's that calls back into the event loop.

import { Socket } from 'node:net';
import type { Ring } from './ring.ts';

export interface Ear {
  /** The process stays for what it may hear. */
  ref(): void;
  unref(): void;
  destroy(): void;
}

/**
 * Has `rung` called after the bell was rung; `lost` when nothing more will be heard. Undefined where this
 * runtime cannot hear bells.
 */
export function openEar(ring: Ring, rung: () => void, lost: (ear: Ear) => void): Ear | undefined {
  return process.platform === 'win32' ? eventEar(ring, rung) : fifoEar(ring, rung, lost);
}

function fifoEar(ring: Ring, rung: () => void, lost: (ear: Ear) => void): Ear | undefined {
  const fd = ring.bell();
  if (fd < 0) return undefined;
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.on('data', rung);
  // The writing end that this handle holds itself keeps the FIFO from ending.
  socket.on('error', () => lost(socket));
  socket.on('close', () => lost(socket));
  socket.resume();
  return socket;
}

function eventEar(ring: Ring, rung: () => void): Ear | undefined {
  if (ring.watchBell(rung) < 0) return undefined;
  return { ref: () => ring.holdBell(true), unref: () => ring.holdBell(false), destroy: () => ring.unwatchBell() };
}
