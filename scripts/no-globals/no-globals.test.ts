import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";

const root = fileURLToPath(new URL("../..", import.meta.url));

function runTests(packageFolder: string): { status: number | null; output: string } {
  const script = join(root, "scripts/no-globals/run.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, packageFolder], {
    cwd: root,
    encoding: "utf8",
    timeout: 540_000,
    maxBuffer: 1 << 28,
  });
  return { status, output: stdout + stderr };
}

/** Runs one test file against a package of one module; both are generated. */
function runFixture(compiledModule: string, testFile: string): { status: number | null; output: string } {
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "no-globals-fixture-"));
  try {
    for (const name of ["src", "dist", "test"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "src/index.ts"), "");
    writeFileSync(join(folder, "dist/index.js"), compiledModule);
    writeFileSync(join(folder, "test/index.test.ts"), testFile);
    return runTests(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("without Node's globals", () => {
  test("the tests of @tungstate/protocol pass", (context) => {
    const { status, output } = runTests("packages/protocol");
    // the list of failures, without the lines before it
    assert.equal(status, 0, output.slice(Math.max(0, output.indexOf("✖ failing tests:"))));
    const passed = /^ℹ pass (\d+)$/m.exec(output)?.[1];
    assert.ok(Number(passed) > 0, output);
    context.diagnostic(`${passed} passed`);
  });

  test("a module sees only ECMAScript's globals, while its test sees all", () => {
    const own = runInNewContext("Object.getOwnPropertyNames(globalThis)") as string[];
    const foreign = Object.getOwnPropertyNames(globalThis).filter((name) => !own.includes(name));
    for (const name of ["Buffer", "process", "TextDecoder", "URL", "setTimeout", "crypto", "performance", "fetch"]) {
      assert.ok(foreign.includes(name), name);
    }
    const names = [...foreign, "console", "WebAssembly"];
    const { status, output } = runFixture(
      `export const atLoad = Object.getOwnPropertyNames(globalThis);
       export const later = { ${names.map((name) => `${name}: () => ${name}`).join(", ")} };`,
      `import assert from "node:assert/strict";
       import { test } from "node:test";
       import { atLoad, later } from "../src/index.ts";
       test("nothing there", () => {
         for (const [name, look] of Object.entries(later)) {
           assert.throws(look, ReferenceError, name);
           assert.ok(!atLoad.includes(name), name);
         }
         assert.equal(Buffer.from(new TextEncoder().encode("x")).toString("hex"), "78");
         assert.equal(typeof process.cwd(), "string");
       });`,
    );
    assert.equal(status, 0, output);
    assert.match(output, /^ℹ pass 1$/m);
  });

  for (const [how, code] of [
    ["by name", "export const size = (text) => Buffer.byteLength(text);"],
    ["as a property of globalThis", "export const size = (text) => globalThis.Buffer.byteLength(text);"],
    [
      "while it is loaded",
      "const encoder = new TextEncoder(); export const size = (text) => encoder.encode(text).length;",
    ],
  ] as const) {
    test(`a module that uses one ${how} fails`, () => {
      const { status, output } = runFixture(
        code,
        `import assert from "node:assert/strict";
         import { test } from "node:test";
         import { size } from "../src/index.ts";
         test("size", () => assert.equal(size("text"), 4));`,
      );
      assert.notEqual(status, 0, output);
      assert.match(output, /is not defined|Cannot read properties of undefined/);
    });
  }
});
