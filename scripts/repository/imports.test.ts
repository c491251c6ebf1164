import assert from "node:assert/strict";
import { test } from "node:test";
import { checkImports, cycles, layerFaults } from "./imports.mjs";

const graph = (edges: Record<string, string[]>): Map<string, string[]> => new Map(Object.entries(edges));

test("an import of a higher layer is a fault, one of a lower layer is none", () => {
  const edges = graph({ "p/src/low/a.ts": ["p/src/high/b.ts"], "p/src/high/b.ts": ["p/src/low/a.ts"] });
  assert.deepEqual(layerFaults("p/src", ["low", "high"], edges), [
    "p/src/low/a.ts imports p/src/high/b.ts, which is in a higher layer",
  ]);
});

test("a folder that no layer names is a fault", () => {
  assert.deepEqual(layerFaults("p/src", ["low"], graph({ "p/src/new/a.ts": [] })), [
    "p/src/new/a.ts: new is in no layer of p/src",
  ]);
});

test("a cycle is found, a diamond is none", () => {
  assert.deepEqual(cycles(graph({ a: ["b"], b: ["c"], c: ["b"] })), [["b", "c", "b"]]);
  assert.deepEqual(cycles(graph({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })), []);
});

test("the imports of this repository point down", () => {
  assert.deepEqual(checkImports(), []);
});
