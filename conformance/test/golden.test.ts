import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { ConformanceCase } from "../cases/case.ts";
import { CASES, groupOf } from "../cases/table.ts";
import { differences, readGolden } from "../golden.ts";
import { reasonFaults, REASONS } from "../reasons.ts";
import type { Evaluation } from "../runner/evaluate.ts";
import { LARGE_GROUPS, type Role, runCases } from "../runner/run.ts";
import { isTargetName, loadTarget, type TargetName } from "../targets/load.ts";

/**
 * Round trips in the cases of groups 12 and 13 instead of 1,000: enough for the second message to
 * reference the first.
 */
const FEW_MESSAGES = 2;
/**
 * Cases of the groups with many megabytes that every target runs here: two of each subgroup; of
 * groups 12 and 13 one unfragmented and one fragmented.
 */
const SAMPLE = /^9\.\d\.[13]$|^1[23]\.\d\.(4|12)$/;

/**
 * All cases for tungstate; fewer cases of many megabytes for the others, which serve to check the
 * suite.
 */
function everydayCases(target: TargetName): readonly ConformanceCase[] {
  return CASES.filter(({ id }) => target === "tungstate" || !LARGE_GROUPS.has(groupOf(id)) || SAMPLE.test(id));
}

interface GoldenFile {
  readonly target: TargetName;
  readonly role: Role;
}

const FILES = readdirSync(new URL("../golden", import.meta.url)).map((file): GoldenFile => {
  const [, target = "", role] = /^(.+)-(server|client)\.json$/.exec(file) ?? [];
  assert.ok(isTargetName(target) && (role === "server" || role === "client"), `${file} is for no target`);
  return { target, role };
});

for (const { target, role } of FILES) {
  test(`the golden file of ${target} as ${role} has every case, and a reason for each that is not OK`, () => {
    const golden = readGolden(target, role);
    assert.deepEqual(
      [...golden.keys()],
      CASES.map(({ id }) => id),
    );
    assert.deepEqual(reasonFaults(REASONS, target, role, golden), []);
  });

  test(`${target} as ${role} matches its golden file`, async () => {
    const cases = everydayCases(target);
    const results = await runCases(await loadTarget(target), role, cases, { messages: FEW_MESSAGES });
    assert.deepEqual(differences(readGolden(target, role), results), []);
  });
}

/** Some cases of most groups. The transport of HTTP/2 sees bytes, whatever they mean. */
const OVER_HTTP2 = /^(1\.1|2|5|7\.1)\.|^3\.[12]$|^4\.1\.1$|^6\.4\.[12]$|^12\.1\.4$|^13\.1\.4$/;

for (const role of ["server", "client"] as const) {
  test(`tungstate as ${role} over HTTP/2 matches the golden file of tungstate`, async () => {
    const target = await loadTarget("tungstate-http2");
    const cases = CASES.filter(({ id }) => OVER_HTTP2.test(id));
    assert.ok(cases.length > 40, String(cases.length));
    const results = await runCases(target, role, cases, { messages: FEW_MESSAGES });
    assert.deepEqual(differences(readGolden("tungstate", role), results), []);
  });
}

test("reasons only name targets that have a golden file", () => {
  const known = new Set<string>(FILES.map(({ target }) => target));
  for (const { target } of REASONS) assert.ok(target === undefined || known.has(target), target);
});

test("a result that differs from the golden file is reported with what was seen", () => {
  const evaluation: Evaluation = {
    verdict: "FAILED",
    behaviour: { verdict: "FAILED", reason: "saw nothing" },
    close: { verdict: "OK", reason: "" },
    closeCode: 1000,
  };
  const results = [{ id: "2.1", evaluation }];
  assert.deepEqual(differences(new Map([["2.1", "FAILED, close 1000"]]), results), []);
  const expected = "2.1: expected OK, close 1000, got FAILED, close 1000: saw nothing";
  assert.deepEqual(differences(new Map([["2.1", "OK, close 1000"]]), results), [expected]);
  assert.equal(differences(new Map(), results).length, 1);
});

test("missing, superfluous and unused reasons are detected", () => {
  const golden = new Map([
    ["1.1.1", "OK, close 1000"],
    ["2.10", "FAILED, close 1000"],
    ["6.4.1", "NON-STRICT, close 1007"],
  ]);
  const found = (cases: readonly (readonly string[])[]): readonly string[] =>
    reasonFaults(
      cases.map((ids) => ({ cases: ids, reason: "because" })),
      "ws",
      "server",
      golden,
    );
  assert.deepEqual(found([["2.10", "6.4.1"]]), []);
  assert.deepEqual(found([["2.10"]]), ['ws-server: 6.4.1 is "NON-STRICT, close 1007" and has no reason']);
  assert.deepEqual(found([["2.10", "6.4.1"], ["6.4.1"]]), ["ws-server: 6.4.1 has 2 reasons"]);
  assert.deepEqual(found([["1.1.1", "2.10", "6.4.1"]]), ["ws-server: 1.1.1 is OK and has a reason"]);
  assert.deepEqual(found([["2.10", "6.4.1", "9.9.9"]]), ["ws-server: 9.9.9 has a reason and no line"]);
});
