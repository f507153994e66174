// What has to be given back when the process ends without having closed it: by `process.exit`, by an exception
// that nobody caught, or because nothing kept it alive. Nobody can be waited for there. A process that is killed
// does not come here; the next who comes takes over what it leaves. Node runs the clean-up hooks of an addon when the
// event loop ends, or a worker, but not in `process.exit`.

const duties = new Set<() => void>();

function doAll(): void {
  // What came last is built upon what was there before. A duty may do another one on its way.
  for (const duty of [...duties].reverse()) {
    if (!duties.has(duty)) continue;
    try {
      duty();
    } catch {
      // Nobody is left who could be told, and the others have to be done too.
    }
  }
}

/** Runs `duty` if the process ends; gives what takes it back. */
export function onExit(duty: () => void): () => void {
  if (duties.size === 0) process.on('exit', doAll);
  // A function of its own, so that one that is given twice is done twice.
  const own = (): void => duty();
  duties.add(own);
  return () => {
    duties.delete(own);
    if (duties.size === 0) process.off('exit', doAll);
  };
}
