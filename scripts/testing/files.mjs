// Runs several test files in this process, one behind the other, each as a suite.
import { after, before, describe } from "node:test";
import { allEnded, fileEnds, fileStarts, TIMEOUT_MS } from "./watchdog.mjs";

/** `files`: the URL of each, by its name. */
export function runFiles(files) {
  for (const [name, url] of Object.entries(files)) {
    describe(name, { timeout: TIMEOUT_MS }, async () => {
      before(() => fileStarts(name));
      after(() => fileEnds());
      await import(url);
    });
  }
  after(() => allEnded());
}
