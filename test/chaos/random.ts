// Randomness that a failing run can repeat.

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run: that of `ISTHMUS_CHAOS_SEED`, else a new one. Titles of tests name it. */
export const SEED = Number(process.env['ISTHMUS_CHAOS_SEED'] ?? Date.now() % 1_000_000);

/** How many processes each of the broker's tests kills: more in the long run. */
export const KILLS = Number(process.env['ISTHMUS_KILLS'] ?? 5);
