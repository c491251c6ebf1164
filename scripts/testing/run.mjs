// Runs programs of test files in this order, each in a process of its own, with the flags of this
// process: node run.mjs PROGRAM...
import { availableParallelism } from "node:os";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** At once, for each processor: many tests wait, for another process or for time to pass. */
const PROCESSES = 2;

/** Ends a process that does not end the file that takes too long, as it is in an endless loop. */
const TIMEOUT_MS = 900_000;

// `node --test` would sort the programs by name.
const events = run({
  files: process.argv.slice(2),
  concurrency: PROCESSES * availableParallelism(),
  timeout: TIMEOUT_MS,
});
events.on("test:fail", ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1;
});
events.compose(new spec()).pipe(process.stdout);
