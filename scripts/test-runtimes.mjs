// Runs the tests of the protocol and of tungstate, and the conformance table, in several runtimes:
//    npm run test:runtimes                       all of them
//    npm run test:runtimes -- node22 bun deno    only these
//    npm run test:runtimes -- deno -- tls/       only files whose path contains this
//    npm run test:runtimes -- workerd chromium webworker   the protocol, without Node.js; tungstate/workers
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { commandLine, flag, integer } from "./command-line.mjs";
import { binaryOf } from "./runtimes/binaries.mjs";
import { AREAS, areaOf, writePage } from "./runtimes/page.mjs";
import { reasonFor } from "./runtimes/known.mjs";
import { PORTABLE_RUNTIMES, portableBinary, runPortable } from "./runtimes/portable/run.mjs";
import { runFile, runProgram } from "./runtimes/run-file.mjs";
import { filesIn, root } from "./workspaces.mjs";

const RUNTIMES = ["node20", "node22", "node24", "node26", "bun", "deno", ...PORTABLE_RUNTIMES];

/** Tests of pages, of type declarations and of other programs: they do not run in a runtime. */
const ELSEWHERE = /\/test\/(?:docs|browser)\/|\/guides?\.test\.ts$|\/public-surface/;

const CONFORMANCE_LIMIT_MS = 300_000;

const end = process.argv.indexOf("--", 2);
const { operands, limit, jobs, verbose, write } = commandLine({
  command: "npm run test:runtimes --",
  summary: "Runs tests in other runtimes. After a second `--`: parts of the paths of test files.",
  options: {
    limit: integer({ least: 1, help: "time limit of a file, in s", byDefault: 90 }),
    jobs: integer({ least: 1, help: "files that run at the same time", byDefault: 2 }),
    verbose: flag("print the output of files with failures that have no known reason"),
    write: flag("write docs/runtimes.md with the results of this run, and of earlier ones for other runtimes"),
  },
  operands: {
    name: "runtime",
    help: `${RUNTIMES.join(", ")} (default: all)`,
    read(name) {
      if (RUNTIMES.includes(name)) return name;
      throw new Error(`must be one of ${RUNTIMES.join(", ")}, got ${JSON.stringify(name)}`);
    },
  },
  argv: process.argv.slice(2, end === -1 ? undefined : end),
});
const runtimes = operands.length === 0 ? RUNTIMES : operands;
const parts = end === -1 ? [] : process.argv.slice(end + 1);

const files = ["packages/protocol/test", "packages/tungstate/test"]
  .flatMap((folder) => [...filesIn(folder)])
  .filter((file) => file.endsWith(".test.ts") && !ELSEWHERE.test(file))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .toSorted((a, b) => (a < b ? -1 : 1));

/** Runs the conformance cases in both roles. Returns "passed" or "failed". */
async function conformance(runtime, binary) {
  const program = ["conformance/main.ts", "--groups", "1-7,10,12", "--messages", "20"];
  const flags = { bun: [], deno: ["run", "--allow-all", "--no-check"] }[runtime] ?? [
    "--import=./scripts/testing/typescript.mjs",
  ];
  const { status, output } = await runProgram(binary, [...flags, ...program], { limit: CONFORMANCE_LIMIT_MS });
  const cases = [...output.matchAll(/^all +(\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  if (status !== 0) process.stdout.write(`${output}\n`);
  return { passed: status === 0, cases };
}

const folder = join(root, "node_modules", ".cache", "runtime-results");
mkdirSync(folder, { recursive: true });
let unexplained = 0;

/** Runs the protocol without Node.js, and `tungstate/workers` in workerd. */
async function withoutNode(runtime) {
  const protocol = files.filter((file) => file.startsWith("packages/protocol/"));
  const { files: results, left } = await runPortable(runtime, protocol);
  for (const { file, needs } of left) console.log(`left out of ${runtime}: ${file} needs ${needs.join(", ")}`);
  if (runtime !== "workerd" || (parts.length > 0 && !parts.some((part) => WORKERS.includes(part)))) return results;
  const env = { TUNGSTATE_WORKERD: binaryOf("workerd") };
  return [...results, await runFile("node", process.execPath, WORKERS, limit * 1000, env)];
}

const WORKERS = "packages/tungstate/test/workers/workerd.ts";

/** Runs all files with the test runner of a runtime. */
async function withNode(runtime, binary) {
  const results = [];
  const queue = [...files];
  const work = async () => {
    for (let file; (file = queue.shift()) !== undefined;) {
      const result = await runFile(runtime, binary, file, limit * 1000);
      results.push(result);
      report(runtime, result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results;
}

for (const runtime of runtimes) {
  const isPortable = PORTABLE_RUNTIMES.includes(runtime);
  const binary = isPortable ? await portableBinary(runtime) : binaryOf(runtime);
  const { output: printed } = await runProgram(binary, ["--version"], { limit: 30_000 });
  const version = /\d+[.-]\d+[.-]\d+/.exec(printed)?.[0];
  const results = await (isPortable ? withoutNode(runtime) : withNode(runtime, binary));
  if (isPortable) for (const result of results) report(runtime, result);
  const table = Object.fromEntries(AREAS.map((area) => [area, { passed: 0, all: 0 }]));
  const failures = [];
  const skipped = [];
  for (const { file, tests } of results) {
    for (const { name, result, why } of tests) {
      const row = (table[areaOf(file)] ??= { passed: 0, all: 0 });
      if (result === "skipped") {
        skipped.push({ file, name });
        continue;
      }
      row.all++;
      if (result === "passed") row.passed++;
      else
        failures.push({
          file,
          name: why === undefined ? name : `${name} ${why}`,
          reason: reasonFor(runtime, file, name), // for this run; the page finds it again
        });
    }
  }
  const cases = parts.length === 0 && !isPortable ? await conformance(runtime, binary) : undefined;
  if (cases?.passed === false) unexplained++;
  unexplained += failures.filter(({ reason }) => reason === undefined).length;
  const passed = Object.values(table).reduce((sum, row) => sum + row.passed, 0);
  console.log(
    `${runtime} ${version}: ${passed} passed, ${failures.length} failed` +
      ` (${failures.filter(({ reason }) => reason === undefined).length} without a known reason), ${skipped.length} skipped` +
      (cases === undefined ? "" : `; conformance: ${cases.cases} cases, ${cases.passed ? "as on Node.js" : "differs"}`),
  );
  const summary = { runtime, version, table, failures, skipped, conformance: cases };
  if (parts.length === 0) writeFileSync(join(folder, `${runtime}.json`), JSON.stringify(summary));
}

function report(runtime, { file, tests, output }) {
  const failed = tests.filter(({ result }) => result === "failed");
  let isKnown = true;
  for (const { name, why = "" } of failed) {
    const reason = reasonFor(runtime, file, name);
    isKnown &&= reason !== undefined;
    console.log(`${reason === undefined ? "✖" : "known:"} ${runtime} ${file}: ${name} ${why}`);
  }
  if (verbose && !isKnown) console.log(output);
}

if (write) {
  const all = RUNTIMES.flatMap((runtime) => {
    try {
      return [JSON.parse(readFileSync(join(folder, `${runtime}.json`), "utf8"))];
    } catch {
      return [];
    }
  });
  await writePage(all);
}
if (unexplained > 0) process.exit(1);
