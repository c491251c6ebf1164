// A short form of `npm run abuse`: what does not depend on the speed of the machine.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ATTACKS } from "./attacks.ts";
import { abuse } from "./run.ts";

const SECONDS = 1.5;

/** One for each mechanism; hardening/catalogue has a test for each of the others. */
const SHORT: readonly string[] = ["history", "cheap lines", "pipelined requests", "hung worker"];

describe("tungstate serve under attack goes on, in bounded memory, and honest clients lose nothing", () => {
  for (const attack of ATTACKS.filter(({ name }) => SHORT.includes(name))) {
    test(`${attack.name}: ${attack.what}`, async () => {
      const { problems } = await abuse(attack, SECONDS, { turn: Infinity, p99: Infinity, rss: 400e6 });
      assert.deepEqual(problems, []);
    });
  }

  test("the short form has attacks that there are", () => {
    assert.equal(ATTACKS.filter(({ name }) => SHORT.includes(name)).length, SHORT.length);
  });
});
