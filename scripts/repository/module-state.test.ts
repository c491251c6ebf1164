import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ALLOWED, checkModuleState, moduleState } from "./module-state.mjs";

describe("state at the top level of a file", () => {
  for (const [line, expected] of [
    ["let count = 0;", ["count"]],
    ["export let last: Room | undefined;", ["last"]],
    ["const cache = new Map<string, Room>();", ["cache"]],
    ["const marks = new WeakSet<object>();", ["marks"]],
    ["const all: Room[] = [];", ["all"]],
    ["const NAMES: ReadonlyMap<string, string> = new Map();", []],
    ["const NO_ROOMS: Room[] = [];", []],
    ["export let roomOf: (room: Room) => number;", []],
    ["  let inside = 0;", []],
    ["const LIMIT = 5;", []],
  ] as const) {
    test(line, () => assert.deepEqual(moduleState(`${line}\n`), expected));
  }

  test("is rejected without a reason, and a reason without state is rejected", () => {
    assert.deepEqual(checkModuleState(), []);
    const [allowed] = ALLOWED.keys();
    const without = new Map([...ALLOWED].filter(([key]) => key !== allowed));
    assert.match(checkModuleState(undefined, without).join(), /put it into the Runtime/);
    assert.match(
      checkModuleState(undefined, new Map([...ALLOWED, ["a.ts b", "no"]])).join(),
      /a\.ts b, which does not exist/,
    );
  });
});
