// Preloaded into the process of each test file: shortly before the runner ends a file that takes too long, says which of
// its tests are still running and what keeps the process alive, which the runner itself does not know.
import { afterEach, beforeEach } from "node:test";
import process from "node:process";

/** For each test and, since the runner counts a file as a test, for each file. */
export const TIMEOUT_MS = 180_000;

const REPORT_BEFORE_MS = 2_000;

if (process.env.NODE_TEST_CONTEXT !== undefined) {
  const running = new Map();
  beforeEach((context) => running.set(context, context.name));
  afterEach((context) => running.delete(context));
  // A timer and no signal handler: with one, a file in an endless loop could not be ended by the runner's SIGTERM.
  setTimeout(() => {
    const tests = [...running.values()].map((name) => JSON.stringify(name)).join(", ") || "no test";
    const open = process.getActiveResourcesInfo().filter((kind) => kind !== "PipeWrap");
    console.error(`${process.argv[1]} is about to be ended: running: ${tests}; open: ${open.join(", ") || "nothing"}`);
  }, TIMEOUT_MS - REPORT_BEFORE_MS).unref();
}
