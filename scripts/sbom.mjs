// Prints what installing a package installs, as a CycloneDX document on stdout:
//    npm run --silent sbom                      all published packages together
//    npm run --silent sbom -- @tungstate/hub    one, with all its dependencies
//
// It is made from an installation of the packed packages. In the workspace, npm omits a dependency
// of one package that is a development dependency of another.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { commandLine } from "./command-line.mjs";
import { spawnNpm } from "./npm.mjs";
import { closureOf, readPackages } from "./workspaces.mjs";

const packages = readPackages();
const published = packages.filter(({ manifest }) => manifest.private !== true);
const known = published.map(({ manifest }) => manifest.name);
const { operands: named } = commandLine({
  command: "npm run sbom --",
  summary: "Prints what an installation of the published packages consists of, as a CycloneDX document.",
  operands: {
    name: "package",
    help: `${known.join(", ")} (default: all)`,
    read(name) {
      if (known.includes(name)) return name;
      throw new Error(`unknown package ${JSON.stringify(name)}, expected ${known.join(", ")}`);
    },
  },
});

const folder = mkdtempSync(join(tmpdir(), "tungstate-sbom-"));
process.once("exit", () => rmSync(folder, { recursive: true }));

function npm(cwd, ...args) {
  const { status, stdout, stderr, error } = spawnNpm(args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
  if (status === 0) return stdout;
  console.error(`npm ${args[0]} failed\n${error?.message ?? ""}${stderr}`);
  process.exit(1);
}

const wanted = published.filter(({ manifest }) => named.length === 0 || named.includes(manifest.name));
const names = new Set(wanted.flatMap((each) => closureOf(each, packages)));
const tarballs = published
  .filter(({ manifest }) => names.has(manifest.name))
  .map((each) => JSON.parse(npm(each.folder, "pack", "--json", "--pack-destination", folder)))
  .map((packed) => join(folder, Object.values(packed)[0].filename));

writeFileSync(join(folder, "package.json"), `{ "name": "installed", "version": "0.0.0", "private": true }\n`);
npm(folder, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline", "--omit=peer", ...tarballs);
process.stdout.write(npm(folder, "sbom", "--sbom-format", "cyclonedx"));
