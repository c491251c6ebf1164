// Runs every *.test.ts of the workspaces with Node's own test runner. Arguments narrow the run to
// files whose path contains one of them: `npm test -- utf8 handshake`.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { commandLine } from "./command-line.mjs";
import { compileAll } from "./testing/compile.mjs";
import { divide, writePrograms } from "./testing/processes.mjs";

/**
 * What takes longest starts first: at the end of a run no file is left that one processor waits
 * for.
 */
const FIRST = ["apps/web/", "scripts/no-globals/", "conformance/", "bench/", "hardening/"];

/**
 * Each has a process of its own: it takes long, or loads the machine. So has each file of ws, which
 * requires ES modules: Node.js 20 rejects that while another file imports them.
 */
const ALONE = /^packages\/ws\/|^(?:bench|conformance|examples|scripts)\/|^hardening\/(?:abuse|fuzz|simulate|soak)\//;

/**
 * Test files that measure the memory of their process. Each has its own: what other files free or
 * keep would count.
 */
const MEASURES_MEMORY = /\b(?:memoryInUse|memoryUsage|peakGrowth)\b/;

const root = fileURLToPath(new URL("..", import.meta.url));
const { operands: wanted } = commandLine({
  command: "npm test --",
  summary: "Runs the test files of the workspaces.",
  operands: { name: "part", help: "only files whose path contains one of these parts" },
});
const sources = ["packages", "apps", "bench", "compat", "conformance", "hardening", "examples", "scripts"]
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts"))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
  .filter((file) => !file.includes("node_modules"));

const rank = (file) => {
  const first = FIRST.findIndex((prefix) => file.startsWith(prefix));
  return first === -1 ? FIRST.length : first;
};
const files = sources
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
if (files.length === 0) {
  console.error(wanted.length === 0 ? "no test files" : `no test file's path contains ${wanted.join(" or ")}`);
  process.exit(1);
}
await compileAll(sources.map((file) => join(root, file)));
const lists = divide(files, {
  alone: (file) => ALONE.test(file) || MEASURES_MEMORY.test(readFileSync(join(root, file), "utf8")),
  least: 4 * availableParallelism(),
});
const folder = mkdtempSync(join(tmpdir(), "tungstate-tests-"));
const run = spawnSync(
  process.execPath,
  [
    `--import=${new URL("testing/typescript.mjs", import.meta.url).href}`,
    "scripts/testing/run.mjs",
    ...writePrograms(lists, folder),
  ],
  { cwd: root, stdio: "inherit" },
);
rmSync(folder, { recursive: true });
if (run.error !== undefined) throw run.error;
if (run.signal !== null) console.error(`the test runner was ended by ${run.signal}`);
process.exit(run.status ?? 1);
