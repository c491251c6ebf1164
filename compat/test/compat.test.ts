import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { PROGRAMS, selectPrograms } from "../programs.ts";
import { ENGINES } from "../project.ts";
import { table } from "../report.ts";
import { parseTap, runProgram } from "../run.ts";
import { link, NODE_OPTIONS } from "../short.ts";

for (const engine of ENGINES) {
  suite(`programs on ${engine}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "tungstate-compat-short-"));
    after(() => rmSync(folder, { recursive: true }));
    const programs = PROGRAMS.filter(({ short }) => short === true);
    link(
      folder,
      engine,
      programs.flatMap(({ run }) => ("testsOf" in run ? [run.testsOf] : [])),
    );
    for (const program of programs) {
      test(`${program.name}: ${program.covers}`, async () => {
        const { passed, failure } = await runProgram(program, { folder, engine, node: NODE_OPTIONS });
        assert.equal(failure, undefined);
        assert.ok(passed > 0);
      });
    }
  });
}

test("programs are selected by a part of their name", () => {
  assert.deepEqual(
    selectPrograms(["socket.io", "TRPC"]).map(({ name }) => name),
    ["Socket.IO", "tRPC"],
  );
  assert.equal(selectPrograms([]).length, PROGRAMS.length);
});

test("a table has a row for each program", () => {
  const [program] = PROGRAMS;
  assert.ok(program !== undefined);
  const results = new Map([
    ["ws", { passed: 3, failure: undefined }],
    ["@tungstate/ws", { passed: 2, failure: "x" }],
  ]);
  const [, , line] = table([{ program, version: "1.2.3", results }]).split("\n");
  assert.match(line ?? "", /^\| Socket\.IO \| 1\.2\.3 +\| .* \| 3 passed \| 2 passed, then failed \|$/);
});

test("a program's own results are read from TAP, and a missing count is none", () => {
  assert.deepEqual(parseTap("# tests 3\n# pass 2\n# fail 1\n# cancelled 0\n"), { passed: 2, failed: 1 });
  assert.ok(Number.isNaN(parseTap("").passed));
});
