// What a user gets from each published package: its manifest and types are right, and it installs and loads with nothing
// but its own dependencies (so without its optional peers).
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { closureOf, readPackages, root } from "./workspaces.mjs";

const temporary = mkdtempSync(join(tmpdir(), "tungstate-packages-"));
process.once("exit", () => rmSync(temporary, { recursive: true }));

let failures = 0;
function run(title, cwd, command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 180_000 });
  if (status !== 0) {
    failures++;
    console.error(`✖ ${title}\n${error?.message ?? ""}${stdout}${stderr}`);
  } else {
    console.log(`✔ ${title}`);
  }
  return status === 0 ? stdout : undefined;
}

const bin = (name) => join(root, "node_modules", ".bin", name);
const packages = readPackages();
const published = packages.filter(({ manifest }) => manifest.private !== true);
const tarballs = new Map();

for (const { folder, manifest } of published) {
  const packed = run(`${manifest.name}: pack`, folder, "npm", ["pack", "--json", "--pack-destination", temporary]);
  if (packed === undefined) continue;
  const tarball = join(temporary, [JSON.parse(packed)].flat()[0].filename);
  tarballs.set(manifest.name, tarball);
  run(`${manifest.name}: publint`, root, bin("publint"), ["run", tarball, "--strict"]);
  if (manifest.exports !== undefined) {
    run(`${manifest.name}: types`, root, bin("attw"), [tarball, "--profile", "esm-only", "--no-emoji"]);
  }
}

for (const packed of published) {
  const { manifest } = packed;
  const closure = closureOf(packed, packages).map((name) => tarballs.get(name));
  if (closure.includes(undefined)) continue;
  const folder = join(temporary, manifest.name.replace("/", "-"));
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), `{ "private": true, "type": "module" }\n`);
  const install = ["install", "--no-audit", "--no-fund", "--prefer-offline", "--omit=optional", ...closure];
  if (run(`${manifest.name}: install`, folder, "npm", install) === undefined) continue;
  for (const entry of Object.keys(manifest.exports ?? {}).filter((name) => name !== "./package.json")) {
    const specifier = manifest.name + entry.slice(1);
    run(`${specifier}: import`, folder, process.execPath, [
      "-e",
      `await import(${JSON.stringify(specifier)})`,
      "--input-type=module",
    ]);
  }
  for (const name of Object.keys(manifest.bin ?? {})) {
    run(`${name} --help`, folder, join(folder, "node_modules", ".bin", name), ["--help"]);
  }
}
if (failures > 0) process.exit(1);
