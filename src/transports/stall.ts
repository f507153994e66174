// A peer that neither takes what is left for it nor hangs up would keep its wire for ever: while a wire is
// on its way out, this looks now and then whether anything still moves.

/**
 * Calls `cutOff` once `takenBytes` has not grown for `stallMs` milliseconds. Gives what ends the watch.
 * The timer does not keep the process alive.
 */
export function watchForStall(stallMs: number, takenBytes: () => number, cutOff: () => void): () => void {
  let before = takenBytes();
  const timer = setInterval(() => {
    const taken = takenBytes();
    if (taken <= before) {
      clearInterval(timer);
      cutOff();
    }
    before = taken;
  }, stallMs).unref();
  return () => clearInterval(timer);
}
