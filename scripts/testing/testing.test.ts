import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { divide, writePrograms } from "./processes.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs test files with these contents, as `npm test` does; `preload` is loaded before all else. */
function runTests(contents: readonly string[], preload = ""): { status: number | null; output: string } {
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "testing-"));
  try {
    const files = contents.map((_, index) => join(folder, `${index}.test.ts`));
    files.forEach((file, index) => writeFileSync(file, `import { test } from "node:test";\n${contents[index]}`));
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const preloads = [`data:text/javascript,${encodeURIComponent(preload)}`, "./scripts/testing/typescript.mjs"];
    const paths = files.map((file) => relative(root, file));
    const programs = writePrograms(divide(paths, { alone: () => false, least: 1 }), folder);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [...preloads.map((module) => `--import=${module}`), "scripts/testing/run.mjs", ...programs],
      { cwd: root, encoding: "utf8", env, timeout: 120_000 },
    );
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the test runner", () => {
  test("runs TypeScript, and succeeds when all tests do", () => {
    const { status, output } = runTests([
      `test("typed", () => { const one: number = 1; void (one satisfies number); });`,
    ]);
    assert.equal(status, 0, output);
    assert.match(output, /^ℹ pass 1$/m);
  });

  test("fails when one of several files fails, and tells the line", () => {
    const { status, output } = runTests([
      `test("passes", () => undefined);`,
      `interface Unused {\n  readonly a: string;\n}\ntest("fails", () => {\n  throw new Error("wrong");\n});`,
    ]);
    assert.equal(status, 1, output);
    assert.match(output, /^ℹ pass 1$/m);
    assert.match(output, /1\.test\.ts:6:9/);
  });

  test("fails for a file that cannot be compiled, and runs the others", () => {
    const { status, output } = runTests([`const = 1;`, `test("passes", () => undefined);`]);
    assert.equal(status, 1, output);
    assert.match(output, /0\.test\.ts:2:6: ERROR/);
    assert.match(output, /^ℹ pass 1$/m);
  });

  test("runs the files of a process one behind the other, and hooks of a file for its own tests only", () => {
    const file = (name: string): string => `
      import { after, before, beforeEach } from "node:test";
      const log = (what: string) => ((globalThis as { log?: string[] }).log ??= []).push("${name} " + what);
      before(() => log("before"));
      beforeEach(() => log("each"));
      after(() => {
        log("after");
        if ("${name}" === "b") console.log((globalThis as { log?: string[] }).log?.join(", "));
      });
      test("one", async () => {
        await new Promise((resolve) => setImmediate(resolve));
        log("one");
      });`;
    const { status, output } = runTests([file("a"), file("b")]);
    assert.equal(status, 0, output);
    assert.match(output, /a before, a each, a one, a after, b before, b each, b one, b after/);
  });

  test("says of a file that is about to be ended what is running and what is open, and ends its processes", () => {
    const { status, output } = runTests(
      [
        `import { spawn } from "node:child_process";
         import { once } from "node:events";
         import { createServer } from "node:net";
         test("ends", () => undefined);
         test("hangs", async () => {
           const child = spawn("sleep", ["1000"], { stdio: "inherit" });
           const ended = once(child, "exit");
           createServer().listen(0);
           time.passes();
           await ended;
           process.exit(1);
         });`,
      ],
      // the first timer of the process is the watchdog's
      `globalThis.time = {};
       const { setTimeout } = globalThis;
       globalThis.setTimeout = (callback) => {
         globalThis.setTimeout = setTimeout;
         time.passes = callback;
         return { unref() {} };
       };`,
    );
    assert.equal(status, 1, output);
    assert.match(output, /0\.test\.ts is about to be ended: running: "hangs"; open: .*TCPServerWrap/);
    assert.match(output, /process \d+ \(sleep 1000\)/);
  });

  test("ends a process that does not end when its tests have, and fails", () => {
    const { status, output } = runTests(
      [`test("leaves a timer", () => void setInterval(() => undefined, 1_000));`],
      `const { setTimeout } = globalThis;
       globalThis.setTimeout = (callback, ms) => setTimeout(callback, ms === 60_000 ? 1 : ms);`,
    );
    assert.equal(status, 1, output);
    assert.match(output, /the tests of .*0\.test\.ts have ended, but their process has not: .* open: .*Timeout/);
  });

  test("ends processes that a file leaves behind, and fails", () => {
    const { status, output } = runTests([
      `import { spawn } from "node:child_process";
         test("leaves a process", () => spawn("sleep", ["1000"], { stdio: ["ignore", "ignore", "inherit"] }).unref());`,
    ]);
    assert.equal(status, 1, output);
    assert.match(output, /has left behind: process \d+ \(sleep 1000\)/);
  });

  test("ends processes that would have ended with a file, and succeeds", () => {
    const { status, output } = runTests([
      `import { spawn } from "node:child_process";
         test("leaves a process", () => {
           const child = spawn("sleep", ["1000"], { stdio: ["pipe", "ignore", "inherit"] });
           child.stdin.unref();
           child.unref();
         });`,
    ]);
    assert.equal(status, 0, output);
  });
});

test("test files are put together into processes by their workspace, few files into few", () => {
  const options = { alone: (path: string) => path.includes("alone"), least: 2 };
  const paths = ["a/alone.ts", "a/x.ts", "packages/b/x.ts", "packages/c/x.ts", "packages/c/y.ts", "packages/c/z.ts"];
  assert.deepEqual(divide(paths, options), [
    ["a/alone.ts"],
    ["a/x.ts"],
    ["packages/b/x.ts"],
    ["packages/c/x.ts", "packages/c/y.ts", "packages/c/z.ts"],
  ]);
  assert.deepEqual(divide(paths.slice(3), options), [["packages/c/x.ts", "packages/c/y.ts"], ["packages/c/z.ts"]]);
  const many = Array.from({ length: 30 }, (_, index) => `bench/${index}.ts`);
  assert.deepEqual(
    divide(many, options).map(({ length }) => length),
    [12, 12, 6],
  );
});
