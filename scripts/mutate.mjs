// Mutation testing of files of packages/protocol, with Stryker, whose npm packages are put into node_modules/.cache:
//   npm run mutate -- close-codes deflate/params
//
// A file is tested by the tests of its name, and by those that are named behind a colon: `deflate/params:deflate/negotiation`. Each mutant that is left over
// is one that no test tells from the code: a test is missing, or the code is more than is needed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { root } from "./workspaces.mjs";

const STRYKER = "9"; // the last one for Node 20
const cache = join(root, "node_modules", ".cache", "stryker");
const folder = join(root, "packages", "protocol");

function fail(message) {
  console.error(message);
  process.exit(1);
}

const wanted = process.argv.slice(2).map((argument) => {
  const [source, ...tests] = argument.split(":");
  return { source: `src/${source}.ts`, tests: [source, ...tests].map((name) => `test/${name}.test.ts`) };
});
if (wanted.length === 0)
  fail("expected files of packages/protocol/src, such as close-codes or deflate/params:deflate/negotiation");
for (const { source } of wanted)
  if (!existsSync(join(folder, source))) fail(`there is no ${source} in packages/protocol`);
const tests = [...new Set(wanted.flatMap((each) => each.tests))].filter((file) => existsSync(join(folder, file)));
if (tests.length === 0) fail(`none of ${wanted.flatMap((each) => each.tests).join(", ")} is there`);

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
  const { status, stderr, error } = spawnSync("npm", [...install, ...packages], { encoding: "utf8" });
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
    tap: { testFiles: tests, nodeArgs: ["--import", "tsx", "-r", "{{hookFile}}", "{{testFile}}"], forceBail: true },
    mutate: wanted.map((each) => each.source),
    coverageAnalysis: "perTest",
    concurrency: 1, // a process for each test file and mutant, which is work enough
    reporters: ["clear-text", "progress-append-only"],
    timeoutMS: 30_000, // beside what a run usually takes: the machine may have other work
    tempDirName: temporary,
    tsconfigFile: "none", // node strips the types
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
