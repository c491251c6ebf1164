/** Resolves in a later task: after the current code, its microtasks, and pending I/O. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/**
 * Resolves when all microtasks have run, including those that microtasks queue. A browser does this
 * between two tasks. No I/O and no timers run meanwhile.
 */
export function microtasksDone(): Promise<void> {
  // Node.js drains the microtasks completely before it looks at the queue of nextTick again
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
