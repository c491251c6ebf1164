// Intervals and timeouts beyond the range of timers are disabled by a dedicated value, or rejected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { Hub } from "../../src/hub/hub.ts";
import type { HubOptions } from "../../src/settings/options.ts";
import { MemoryPresenceStore } from "../../src/presence/memory-presence-store.ts";
import { resolveRedisOptions } from "../../src/redis/options.ts";
import { createToken } from "../../src/tokens/sign.ts";
import { FaultyBroker } from "../support/faulty-broker.ts";
import { withHub } from "../support/hubs.ts";
import { TestClient } from "../support/test-client.ts";
import { SECRET } from "../support/tokens.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const WRONG: readonly unknown[] = [Infinity, -Infinity, NaN, 0, -1, 2 ** 31, 2 ** 40, 1.5, "1000", null, {}, true, 5n];
const MOST = 2 ** 31 - 1;

const newHub = (options: object): Hub => new Hub({ namespaces: {}, ...options });

/** Each option by the constructor or function that accepts it. */
const OPTIONS: Readonly<Record<string, (value: unknown) => unknown>> = {
  connectTimeout: (connectTimeout) => newHub({ connectTimeout }),
  refreshGrace: (refreshGrace) => newHub({ refreshGrace }),
  announceInterval: (announceInterval) => newHub({ announceInterval }),
  positionCheckInterval: (positionCheckInterval) => newHub({ positionCheckInterval }),
  "ping.interval": (interval) => newHub({ ping: { interval } }),
  "ping.timeout": (timeout) => newHub({ ping: { interval: MOST - (MOST % 1000), timeout } }),
  ttl: (ttl) => new MemoryPresenceStore({ ttl: ttl as number }),
  timeout: (timeout) => resolveRedisOptions({ timeout: timeout as number }),
  presenceTtl: (presenceTtl) => resolveRedisOptions({ presenceTtl: presenceTtl as number }),
};

/**
 * Whether it is a RangeError for a number, a TypeError for anything else, and has the code of wrong
 * arguments.
 */
function isArgumentError(error: unknown, value: unknown): error is Error {
  const Class = typeof value === "number" ? RangeError : TypeError;
  return error instanceof Class && "code" in error && error.code === "INVALID_ARGUMENT";
}

for (const [name, take] of Object.entries(OPTIONS)) {
  test(`${name} must be a time that a timer supports`, () => {
    for (const value of WRONG) {
      // the one that can be disabled
      if (name === "positionCheckInterval" && value === Infinity) continue;
      // null is invalid for an option with a default
      if (value === null) continue;
      assert.throws(
        () => take(value),
        (error) => isArgumentError(error, value) && error.message.includes(name) && /got /.test(error.message),
        `${name}: ${inspect(value)}`,
      );
    }
    take(name === "ping.interval" ? 2_147_483_000 : name === "ping.timeout" ? 1 : MOST);
  });
}

test("so must the timeout of a survey, the window of a close and the ttl of any presence store", () =>
  withHub({}, async ({ hub }) => {
    for (const value of WRONG) {
      if (value === null) continue;
      const isExpected = (error: unknown): boolean => isArgumentError(error, value);
      await assert.rejects(hub.survey("x", 1, { timeout: value as number }), isExpected, inspect(value));
      if (value !== 0 && value !== 1.5) await assert.rejects(hub.close({ window: value as number }), isExpected);
      const presence = Object.assign(new MemoryPresenceStore(), { ttl: value as number });
      await assert.rejects(new Hub({ namespaces: {}, presence }).start(), isExpected);
    }
    for (const ttl of [NaN, Infinity]) await assert.rejects(createToken({ secret: SECRET, user: "x", ttl }), TypeError);
  }));

test("positionCheckInterval: Infinity disables the check, and sets no timer", async () => {
  const timers = async (positionCheckInterval: number): Promise<number> => {
    const clock = new VirtualClock();
    const options: Partial<HubOptions> = { broker: new FaultyBroker(), clock, positionCheckInterval };
    let pending = 0;
    await withHub(options, async ({ hub }) => {
      const client = await new TestClient(hub).connect();
      await client.subscribe("public:x");
      pending = clock.pending;
    });
    return pending;
  };
  assert.equal(await timers(Infinity), (await timers(30_000)) - 1);
});
