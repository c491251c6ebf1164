// Runs the tests with other versions of Node, whose binaries are npm packages:
//    npm run test:nodes                      the tests of packages/, with each version
//    npm run test:nodes -- 22 26             with these versions only
//    npm run test:nodes -- 22 -- protocol    only files whose path contains this
import { spawnSync } from "node:child_process";
import { delimiter, dirname } from "node:path";
import process from "node:process";
import { commandLine } from "./command-line.mjs";
import { binaryOf } from "./runtimes/binaries.mjs";
import { root } from "./workspaces.mjs";

const VERSIONS = ["22", "24", "26"];

const end = process.argv.indexOf("--", 2);
const { operands: named } = commandLine({
  command: "npm run test:nodes --",
  summary: "Runs the tests with other versions of Node.js. After a second `--`: parts of the paths of test files.",
  operands: {
    name: "version",
    help: `major versions of Node.js (default: ${VERSIONS.join(", ")})`,
    read(version) {
      if (/^\d+$/.test(version)) return version;
      throw new Error(`a version must be a number, got ${JSON.stringify(version)}`);
    },
  },
  argv: process.argv.slice(2, end === -1 ? undefined : end),
});
const versions = named.length === 0 ? VERSIONS : named;
const parts = end === -1 ? ["packages/"] : process.argv.slice(end + 1);

/** Returns the path of a Node of this major version, or undefined if it cannot be installed. */
function nodeOf(version) {
  try {
    return binaryOf(`node${version}`);
  } catch (error) {
    console.error(`✖ no Node ${version}: ${error.message}`);
    return undefined;
  }
}

let failures = 0;
for (const version of versions) {
  const node = nodeOf(version);
  if (node === undefined) {
    failures++;
    continue;
  }
  // Tests that start `node` use the same version.
  const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH };
  const run = spawnSync(node, ["scripts/test.mjs", ...parts], { cwd: root, encoding: "utf8", env, maxBuffer: 1 << 29 });
  const exact = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
  if (run.status === 0) {
    const [passed, skipped] = ["pass", "skipped"].map((kind) => run.stdout.match(`ℹ ${kind} (\\d+)`)?.[1]);
    console.log(`✔ Node ${exact}: ${passed} passed, 0 failed, ${skipped} skipped`);
  } else {
    failures++;
    // the list of failures, without the lines before it
    const listed = run.stdout.slice(Math.max(0, run.stdout.indexOf("✖ failing tests:")));
    console.error(`✖ Node ${exact}\n${run.error ?? listed + run.stderr}`);
  }
}
if (failures > 0) process.exit(1);
