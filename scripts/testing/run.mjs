// Runs test files in this order, each in a process of its own, with the flags of this process: node run.mjs FILE...
import { availableParallelism } from "node:os";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { TIMEOUT_MS } from "./watchdog.mjs";

// `node --test` would sort the files by name.
const events = run({ files: process.argv.slice(2), concurrency: availableParallelism(), timeout: TIMEOUT_MS });
events.on("test:fail", ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1;
});
events.compose(new spec()).pipe(process.stdout);
