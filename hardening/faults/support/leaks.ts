import assert from "node:assert/strict";
import process from "node:process";
import { sharedMemoryBudget } from "tungstate";

// ms; libuv takes a few iterations to close handles, and longer on a loaded machine
const TIMEOUT = 60_000;

/** What keeps the process alive, by type: sockets, servers, timers, pending requests. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind === "Immediate") continue; // closed in this iteration
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Listeners of the process, by event. */
function listeners(): Record<string, number> {
  return Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));
}

/**
 * Runs something that has ended when its promise resolves. Fails if a handle, a timer, a listener
 * or a byte in the memory budget remains.
 */
export async function leavingNothing(work: () => Promise<void>): Promise<void> {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  const before = resources();
  const received = listeners();
  try {
    await work();
    const until = performance.now() + TIMEOUT;
    while (added(before) !== "" && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(added(before), "", "remains");
    assert.deepEqual(listeners(), received, "listeners of the process");
    assert.equal(sharedMemoryBudget.use.held, 0, "bytes held");
    assert.deepEqual(unhandled, [], "errors that reached the event loop");
  } finally {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  }
}

/**
 * What exists now and did not exist before, by type. (What the runner had started may have ended.)
 */
function added(before: Record<string, number>): string {
  return Object.entries(resources())
    .filter(([kind, count]) => count > (before[kind] ?? 0))
    .map(([kind, count]) => `${count - (before[kind] ?? 0)} ${kind}`)
    .join(", ");
}
