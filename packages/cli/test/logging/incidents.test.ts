import assert from "node:assert/strict";
import { test } from "node:test";
import { Incidents } from "../../src/logging/incidents.ts";

test("an error is reported once per incident, which ends after 10 s without one", () => {
  let now = 0;
  const reported: [message: string, repeats: number][] = [];
  const incidents = new Incidents(
    ({ message }, repeats) => reported.push([message, repeats]),
    () => now,
  );
  for (; now <= 30_000; now += 1_000) incidents.add(new Error("closed"));
  incidents.add(new Error("another"));
  assert.deepEqual(reported.splice(0), [
    ["closed", 0],
    ["another", 0],
  ]);
  now += 9_000; // 10 s behind the last one
  incidents.add(new Error("closed"));
  assert.deepEqual(reported, [["closed", 30]]);
});

test("messages that are all different are each reported, in bounded memory", () => {
  let count = 0;
  const incidents = new Incidents(
    () => count++,
    () => 0,
  );
  for (let index = 0; index < 1_000; index++) incidents.add(new Error(String(index)));
  for (let index = 900; index < 1_000; index++) incidents.add(new Error(String(index)));
  assert.equal(count, 1_000);
});
