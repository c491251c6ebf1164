// Mutation testing of files of packages/protocol with Stryker, whose npm packages are installed
// into node_modules/.cache: npm run mutate -- close-codes deflate/params:deflate/negotiation
// utf8:1-46
//
// After a colon: additional tests beyond those named after the file, or the lines to mutate. A
// surviving mutant is one that no test detects: a test is missing, or the code is superfluous.
// docs/mutation-testing.md has the results.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { spawnNpm } from "./npm.mjs";
import { commandLine } from "./command-line.mjs";
import { root } from "./workspaces.mjs";

const STRYKER = "9"; // the last version for Node 20
const BUNDLE = "--bundle";
const cache = join(root, "node_modules", ".cache", "stryker");
const folder = join(root, "packages", "protocol");
/**
 * Returns the path of a file in this folder as seen from Stryker's copy of the package, which is
 * two folders down in the package.
 */
const fromCopy = (file) => `../../${relative(folder, fileURLToPath(new URL(file, import.meta.url)))}`;

function fail(message) {
  console.error(message);
  process.exit(1);
}

if (process.argv[2] === BUNDLE) {
  // for Stryker's copy of the package: a process runs for each mutant and test file, and compiling
  // would take most of its time
  const { buildSync } = await import("esbuild");
  buildSync({
    entryPoints: process.argv.slice(3),
    bundle: true,
    packages: "external",
    platform: "node",
    target: "es2023",
    format: "esm",
    outbase: ".",
    outdir: ".",
    outExtension: { ".js": ".mjs" },
    // test/support/errors-page.ts locates the page relative to itself
    define: { "import.meta.url": JSON.stringify(new URL("../packages/protocol/test/support/", import.meta.url)) },
    logLevel: "warning",
  });
  process.exit();
}

/**
 * Returns the tests of a file, or of a part of it: `receiver` has receiver.test.ts and
 * receiver-limits.test.ts.
 */
function testsOf(name) {
  const inFolder = join("test", dirname(name));
  const files = readdirSync(join(folder, inFolder)).filter((file) => file.endsWith(".test.ts"));
  const own = files.filter((file) => new RegExp(`^${basename(name)}(-[a-z-]+)?\\.test`).test(file));
  // first that of the whole file, which detects most mutants
  own.sort((a, b) => a.length - b.length);
  return own.map((file) => join(inFolder, file));
}

const { operands } = commandLine({
  command: "npm run mutate --",
  summary: "Finds changes to packages/protocol that no test detects (Stryker).",
  operands: { name: "file[:tests][:lines]", help: "files of packages/protocol/src, such as close-codes or utf8:1-46" },
});
const wanted = operands.map((argument) => {
  const [source, ...more] = argument.split(":");
  const lines = more.filter((each) => /^\d+-\d+$/.test(each));
  const tests = more.filter((each) => !lines.includes(each));
  if (!existsSync(join(folder, `src/${source}.ts`))) fail(`there is no src/${source}.ts in packages/protocol`);
  const files = [source, ...tests].flatMap(testsOf);
  if (files.length === 0) fail(`no tests of ${source}: name some, as in ${source}:index`);
  return { source: [`src/${source}.ts`, ...lines].join(":"), tests: files };
});
if (wanted.length === 0)
  fail("expected files of packages/protocol/src, such as close-codes or deflate/params:deflate/negotiation");
const tests = [...new Set(wanted.flatMap((each) => each.tests))];

if (!existsSync(join(cache, "node_modules", "@stryker-mutator", "tap-runner"))) {
  mkdirSync(cache, { recursive: true });
  const packages = ["core", "tap-runner"].map((name) => `@stryker-mutator/${name}@${STRYKER}`);
  const install = [
    "install",
    "--no-save",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefix",
    cache,
  ];
  const { status, stderr, error } = spawnNpm([...install, ...packages], { encoding: "utf8" });
  if (status !== 0) fail(`Stryker could not be installed\n${error ?? stderr}`);
}

const modules = join(cache, "node_modules", "@stryker-mutator");
const config = join(cache, "stryker.config.json");
const temporary = join(folder, ".stryker-tmp");
writeFileSync(
  config,
  JSON.stringify({
    plugins: [join(modules, "tap-runner", "dist", "src", "index.js")],
    testRunner: "tap",
    tap: {
      testFiles: tests.map((file) => file.replace(/ts$/, "mjs")),
      nodeArgs: ["-r", "{{hookFile}}", `--test-reporter=${fromCopy("mutate-reporter.cjs")}`, "{{testFile}}"],
      forceBail: true,
    },
    buildCommand: `node ${fromCopy("mutate.mjs")} ${BUNDLE} ${tests.join(" ")}`,
    mutate: wanted.map((each) => each.source),
    coverageAnalysis: "perTest",
    concurrency: 1, // a process for each test file and mutant suffices to use the cores
    reporters: ["clear-text", "progress-append-only", "json"],
    clearTextReporter: { logTests: false, reportTests: false },
    jsonReporter: { fileName: join(cache, "report.json") },
    timeoutMS: 15_000, // ms in addition to the usual time of a run, for loaded machines
    tempDirName: temporary,
    tsconfigFile: "none", // esbuild strips the types
    disableTypeChecks: false,
  }),
);
try {
  const { status } = spawnSync(process.execPath, [join(modules, "core", "bin", "stryker.js"), "run", config], {
    cwd: folder,
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
