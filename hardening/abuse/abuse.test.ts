// A short form of `npm run abuse`: what does not depend on the speed of the machine.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ATTACKS } from "./attacks/all.ts";
import { abuse, LIMITS, type Limits } from "./run.ts";

const SECONDS = 1.5;
const LIMITS_OF_ANY_MACHINE: Limits = { ...LIMITS, tick: Infinity, p99: Infinity };

/** One for each mechanism; hardening/catalogue has a test for each of the others. */
const SHORT: readonly string[] = ["history", "cheap lines", "pipelined requests", "hung worker"];

describe("tungstate serve under attack goes on, in bounded memory, and honest clients lose nothing", () => {
  for (const attack of ATTACKS.filter(({ name }) => SHORT.includes(name))) {
    test(`${attack.name}: ${attack.what}`, async () => {
      const { problems } = await abuse(attack, SECONDS, LIMITS_OF_ANY_MACHINE);
      assert.deepEqual(problems, []);
    });
  }

  test("the short form has attacks that there are", () => {
    assert.equal(ATTACKS.filter(({ name }) => SHORT.includes(name)).length, SHORT.length);
  });
});
