/** Resolves in a later task: after the current code, its microtasks, and pending I/O. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/**
 * Resolves when all microtasks have run that the current code has queued, and those that they
 * queue: what lies between two tasks of a browser's event loop. It lets no I/O and no timers run.
 */
export function microtasksDone(): Promise<void> {
  // Node.js drains the microtasks completely before it looks at the queue of nextTick again
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
