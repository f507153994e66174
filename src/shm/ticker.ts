// The one timer that all channels of a thread look by while nothing comes: waking a thread that sleeps costs
// more than all of their looks. It never holds the process.

/** What a receiver loses at most when whoever should have woken it was killed, in ms. */
const TICK_MS = 75;

const looks = new Set<() => void>();
let timer: NodeJS.Timeout | undefined;

/** Calls `look` with every tick; gives a function that ends it. */
export function onTick(look: () => void): () => void {
  looks.add(look);
  timer ??= setInterval(tick, TICK_MS).unref();
  return () => {
    looks.delete(look);
    if (looks.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

function tick(): void {
  for (const look of looks) look();
}
