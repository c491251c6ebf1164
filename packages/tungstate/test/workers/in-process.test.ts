import assert from "node:assert/strict";
import { test } from "node:test";
import { inProcess } from "./support/in-process.ts";
import { workersSuite } from "./support/suite.ts";
import { bundle } from "./support/workerd.ts";

workersSuite("a Worker in this process", inProcess);

test("the entry contains nothing of Node.js", async () => {
  const text = await bundle("../../../src/workers/index.ts");
  assert.ok(!/"node:|\bBuffer\.|require\(/.test(text), text.slice(0, 300));
});
