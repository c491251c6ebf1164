import assert from "node:assert/strict";
import process from "node:process";
import { sharedMemoryBudget } from "tungstate";

const PATIENCE = 60_000; // ms; what libuv needs to close handles takes a few turns, on a busy machine some time

/** What keeps the process alive, by kind: sockets, servers, timers, requests under way. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind === "Immediate") continue; // gone with this turn
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Listeners of the process, by event. */
function listeners(): Record<string, number> {
  return Object.fromEntries(process.eventNames().map((name) => [String(name), process.listenerCount(name)]));
}

/** Does something that is over when it resolves; fails if a handle, a timer, a listener or a byte in the memory budget is left behind. */
export async function leavingNothing(work: () => Promise<void>): Promise<void> {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  const before = resources();
  const heard = listeners();
  try {
    await work();
    const until = performance.now() + PATIENCE;
    while (added(before) !== "" && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(added(before), "", "left behind");
    assert.deepEqual(listeners(), heard, "listeners of the process");
    assert.equal(sharedMemoryBudget.use.held, 0, "bytes held");
    assert.deepEqual(unhandled, [], "errors that reached the event loop");
  } finally {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  }
}

/** What there is now and was not before, by kind. (What the runner had begun may be over by now.) */
function added(before: Record<string, number>): string {
  return Object.entries(resources())
    .filter(([kind, count]) => count > (before[kind] ?? 0))
    .map(([kind, count]) => `${count - (before[kind] ?? 0)} ${kind}`)
    .join(", ");
}
