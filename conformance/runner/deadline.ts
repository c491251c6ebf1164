const SLICES = 40;

/**
 * Calls `passed` after `ms`, unless the returned function is called before. Time is counted in slices, of which a process that
 * stood still loses but one: then there were at least so many turns in which what was waited for could have come.
 */
export function startDeadline(ms: number, passed: () => void): () => void {
  let left = SLICES;
  const timer = setInterval(() => {
    left -= 1;
    if (left > 0) return;
    clearInterval(timer);
    passed();
  }, ms / SLICES);
  return () => clearInterval(timer);
}
