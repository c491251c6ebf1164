// What each scenario uses: named checks, and proof that every program has loaded the intended ws.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import process from "node:process";

const require = createRequire(import.meta.url);

/**
 * Runs a scenario: prints a line for each check, and exits 1 with the error at the first failure.
 * `users` are the packages that depend on ws.
 */
export async function scenario(users, run) {
  const cleanups = [];
  try {
    for (const user of ["./scenario.mjs", ...users]) {
      const from = user.startsWith(".") ? import.meta.url : require.resolve(user);
      const { name } = createRequire(from)("ws/package.json");
      assert.equal(name, process.env.COMPAT_WS, `the ws of ${user}`);
    }
    await run({
      async check(title, body) {
        try {
          await body();
        } catch (error) {
          throw new Error(`${title}: ${error?.stack ?? error}`, { cause: error });
        }
        console.log(`ok ${title}`);
      },
      after: (cleanup) => cleanups.unshift(cleanup),
    });
    for (const cleanup of cleanups) await cleanup();
    process.exit(0);
  } catch (error) {
    console.error(error?.message ?? error);
    process.exit(1);
  }
}

/** Resolves with the first argument of the next event. */
export const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

/** Listens on a free port of 127.0.0.1. */
export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}
