const SLICES = 40;

/**
 * Calls `passed` after `ms` unless the returned function is called first. Time is counted in
 * slices, and a process that was stopped loses only one of them. So there were at least that many
 * event-loop ticks in which the expected event could arrive.
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
