import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  COMMAND_ERRORS,
  CommandError,
  commandError,
  Disconnect,
  DISCONNECTS,
  reconnectsAfter,
  UNSUBSCRIBES,
} from "../../src/codes.ts";

const docs = readFileSync(new URL("../../../../docs/hub.md", import.meta.url), "utf8");

/** Returns the rows of the table under a heading: code, text, and whether there is a yes. */
function documented(heading: string): readonly (readonly [number, string, boolean])[] {
  const section = docs.split(/^##+ /m).find((each) => each.startsWith(`${heading}\n`)) ?? "";
  return [...section.matchAll(/^\| (\d+) +\| ([^|]+?) +\| (yes)? *\|$/gm)].map(([, code, text = "", yes]) => [
    Number(code),
    text,
    yes !== undefined,
  ]);
}

test("docs and tables are equal", () => {
  const errors = Object.values(COMMAND_ERRORS).map((entry) => [entry.code, entry.text, "temporary" in entry]);
  assert.deepEqual(documented("Command errors"), errors);
  const unsubscribes = Object.values(UNSUBSCRIBES).map(({ code, reason }) => [code, reason, code >= 2500]);
  assert.deepEqual(documented("Unsubscribe"), unsubscribes);
  const disconnects = Object.values(DISCONNECTS).map(({ code, reason }) => [code, reason, reconnectsAfter(code)]);
  assert.deepEqual(documented("Disconnect"), disconnects);
});

test("codes after which clients reconnect", () => {
  for (const code of [3000, 3499, 4000, 4499]) assert.equal(reconnectsAfter(code), true, `${code}`);
  for (const code of [3500, 3999, 4500, 4999]) assert.equal(reconnectsAfter(code), false, `${code}`);
});

test("errors of the protocol and of the application", () => {
  const { code, message, temporary } = commandError("TOO_MANY_REQUESTS", "at most 5 per second");
  assert.deepEqual([code, message, temporary], [111, "too many requests: at most 5 per second", true]);
  assert.equal(new CommandError(400, "no").temporary, false);
  assert.equal(new CommandError(400, "later", { temporary: true }).temporary, true);
  assert.deepEqual(
    [new Disconnect(4999, "ä".repeat(61)).code, new Disconnect(3000, "x".repeat(123)).reason.length],
    [4999, 123],
  );
  for (const [wrong, reason] of [
    [2999, ""],
    [5000, ""],
    [3000.5, ""],
    [NaN, ""],
    [3000, "x".repeat(124)],
    [3000, "ä".repeat(62)],
  ] as const) {
    assert.throws(() => new Disconnect(wrong, reason), RangeError);
  }
});
