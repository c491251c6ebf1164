// Packs all packages, checks them, and publishes them in the order of their dependencies:
//    npm run release -- --dry-run           packs and checks only
//    npm run release -- --dry-run --jsr     checks @tungstate/protocol for JSR, too
//    npm run release -- --set-owner         writes the values of owner.json into the manifests
//    npm run release -- --set-budgets       sets the size budgets to today's sizes and 10 percent
//    npm run release                        publishes; for .github/workflows/release.yml
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { commandLine, flag } from "./command-line.mjs";
import { npmCommand, spawnNpm } from "./npm.mjs";
import {
  budgetProblems,
  changelogProblems,
  contentProblems,
  distTagOf,
  environmentGaps,
  gitGaps,
  inOrder,
  manifestProblems,
  ownerGaps,
  repositoryOf,
  versionProblems,
} from "./release/checks.mjs";
import { kilobytes, tableOf } from "./release/table.mjs";
import { binaryOf } from "./runtimes/binaries.mjs";
import { readPackages, root } from "./workspaces.mjs";

const BUDGETS = join(root, "scripts", "release", "budgets.json");
const HEADROOM = 1.1; // of a new budget

const {
  "dry-run": isDryRun,
  "set-owner": setsOwner,
  "set-budgets": setsBudgets,
  jsr: checksJsr,
  fail,
} = commandLine({
  command: "npm run release --",
  summary: "Packs and checks all packages, and publishes them in the order of their dependencies.",
  options: {
    "dry-run": flag("pack and check only; publish nothing"),
    jsr: flag("check @tungstate/protocol for JSR with Deno, which is installed from npm"),
    "set-owner": flag("write the repository of owner.json into all manifests, and end"),
    "set-budgets": flag("write scripts/release/budgets.json: the sizes of today and 10 percent more"),
  },
});
if (setsBudgets && !isDryRun) fail("--set-budgets requires --dry-run");

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const owner = readJson(join(root, "owner.json"));
const packages = inOrder(
  readPackages()
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ folder, manifest }) => {
      const jsr = join(folder, "jsr.json");
      const directory = `packages/${basename(folder)}`;
      return { folder, directory, manifest, jsr: existsSync(jsr) ? readJson(jsr) : undefined };
    }),
);
const { version } = packages[0].manifest;

if (setsOwner) {
  const gaps = ownerGaps(owner);
  if (gaps.length > 0) fail(gaps[0]);
  for (const { folder, directory, manifest } of packages) {
    const changed = {
      ...manifest,
      repository: repositoryOf(owner.repository, directory),
      homepage: `${owner.repository}#readme`,
      bugs: `${owner.repository}/issues`,
    };
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(changed, undefined, 2)}\n`);
  }
  console.log(`the repository of ${packages.length} packages is ${owner.repository}`);
  process.exit(0);
}

/** Runs a program. Ends with its output if it fails. */
function run([command, args], { cwd = root, inherit = false, env = process.env } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: inherit ? "inherit" : "pipe",
  });
  if (status === 0) return stdout ?? "";
  console.error(
    `${[basename(command), ...args].join(" ")} failed\n${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`,
  );
  process.exit(1);
}

const temporary = mkdtempSync(join(tmpdir(), "tungstate-release-"));
process.once("exit", () => rmSync(temporary, { recursive: true }));

const packed = packages.map((each) => {
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", temporary];
  const [{ filename, size, unpackedSize, files }] = Object.values(
    JSON.parse(run(npmCommand("npm", args), { cwd: each.folder })),
  );
  const paths = files.map(({ path }) => path);
  return { ...each, tarball: join(temporary, filename), paths, sizes: { size, unpackedSize, files: paths.length } };
});

if (setsBudgets) {
  const rounded = (value) => Math.ceil((value * HEADROOM) / 10) * 10;
  const budgetOf = (sizes) => Object.fromEntries(Object.entries(sizes).map(([key, value]) => [key, rounded(value)]));
  const budgets = Object.fromEntries(packed.map(({ manifest, sizes }) => [manifest.name, budgetOf(sizes)]));
  writeFileSync(BUDGETS, `${JSON.stringify(budgets, undefined, 2)}\n`);
}
const budgets = readJson(BUDGETS);
const changelog = readFileSync(join(root, "CHANGELOG.md"), "utf8");

const rows = packed.map((each) => ({
  ...each,
  problems: [
    ...manifestProblems(each, owner),
    ...contentProblems(each.manifest, each.paths),
    ...budgetProblems(each.manifest.name, each.sizes, budgets),
  ],
}));
const problems = [
  ...versionProblems(packages),
  ...changelogProblems(changelog, version),
  ...rows.flatMap((row) => row.problems),
];
const lines = (text) => text.split("\n").filter((line) => line !== "");
const git = {
  changes: lines(run(["git", ["status", "--porcelain"]])).length,
  tags: lines(run(["git", ["tag", "--points-at", "HEAD"]])),
};
const npmVersion = run(npmCommand("npm", ["--version"])).trim();
const gaps = [...ownerGaps(owner), ...gitGaps(git, changelog, version), ...environmentGaps(process.env, npmVersion)];

if (checksJsr) {
  for (const { folder, manifest } of packages.filter(({ jsr }) => jsr !== undefined)) {
    run([binaryOf("deno"), ["publish", "--dry-run", "--allow-dirty"]], { cwd: folder });
    console.log(`${manifest.name}: JSR would accept it`);
  }
}

console.log(
  tableOf(
    ["package", "version", "tarball", "budget", "unpacked", "files", "result"],
    rows.map(({ manifest, sizes, problems: own }) => [
      manifest.name,
      manifest.version,
      kilobytes(sizes.size),
      kilobytes(budgets[manifest.name]?.size ?? 0),
      kilobytes(sizes.unpackedSize),
      sizes.files,
      own.length === 0 ? "ok" : `${own.length} problems`,
    ]),
  ),
);
for (const problem of problems) console.error(`✖ ${problem}`);
if (isDryRun) {
  for (const gap of gaps) console.log(`before publishing: ${gap}`);
  process.exit(problems.length === 0 ? 0 : 1);
}
for (const gap of gaps) console.error(`✖ ${gap}`);
if (problems.length + gaps.length > 0) {
  console.error("nothing was published");
  process.exit(1);
}

for (const { manifest, tarball } of packed) {
  const id = `${manifest.name}@${manifest.version}`;
  // a release that was interrupted continues where it stopped
  const published = spawnNpm(["view", id, "version"], { encoding: "utf8" }).stdout?.trim();
  if (published === manifest.version) {
    console.log(`${id} is already published`);
    continue;
  }
  const publish = ["publish", tarball, "--provenance", "--access", "public", "--tag", distTagOf(manifest.version)];
  run(npmCommand("npm", publish), { inherit: true });
  console.log(`published ${id}`);
}
