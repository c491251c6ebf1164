// Checks each published package as its user gets it: it contains exactly its files, its manifest
// and types are correct, and it installs and loads with only its own dependencies, without its
// optional peers.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import process from "node:process";
import { build as buildWithEsbuild } from "esbuild";
import { build as buildWithVite } from "vite";
import { commandLine } from "./command-line.mjs";
import { npmCommand } from "./npm.mjs";
import { installedBinaryOf } from "./runtimes/binaries.mjs";
import { closureOf, readPackages, root } from "./workspaces.mjs";

commandLine({ command: "npm run check:packages --", summary: "Checks each published package as its user gets it." });

const temporary = mkdtempSync(join(tmpdir(), "tungstate-packages-"));
process.once("exit", () => rmSync(temporary, { recursive: true }));

let failures = 0;
function run(title, cwd, [command, args]) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 180_000 });
  if (status !== 0) {
    failures++;
    console.error(`✖ ${title}\n${error?.message ?? ""}${stdout}${stderr}`);
  } else {
    console.log(`✔ ${title}`);
  }
  return status === 0 ? stdout : undefined;
}

/** Returns the command that starts a program of an installed package, without its shell script. */
function programOf(packageName, name) {
  const folder = join(root, "node_modules", packageName);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return [process.execPath, [join(folder, typeof bin === "string" ? bin : bin[name])]];
}
const withArguments = ([command, first], ...rest) => [command, [...first, ...rest]];
const packages = readPackages();
const published = packages.filter(({ manifest }) => manifest.private !== true);
const tarballs = new Map();

function filesIn(folder, name) {
  if (!existsSync(join(folder, name))) return [];
  return readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map((path) => path.replaceAll(sep, "/"));
}

/**
 * Returns the files of a package: the compiled form of each existing source, and what `files` names
 * besides.
 */
function expectedFiles(folder, { files }) {
  const compiled = filesIn(folder, "src")
    .map((source) => source.replace(/^src/, "dist").replace(/\.ts$/, ""))
    .flatMap((base) => [".js", ".js.map", ".d.ts", ".d.ts.map"].map((kind) => base + kind));
  const others = files
    .filter((name) => !name.startsWith("!") && name !== "dist")
    .flatMap((name) => (/\.\w+$/.test(name) ? [name] : filesIn(folder, name)));
  return new Set(["package.json", "README.md", "LICENSE", ...compiled, ...others]);
}

function checkFiles(name, expected, paths) {
  const wrong = [
    ...paths.filter((path) => !expected.has(path)).map((path) => `superfluous: ${path}`),
    ...[...expected].filter((path) => !paths.includes(path)).map((path) => `missing: ${path}`),
  ];
  if (wrong.length === 0) {
    console.log(`✔ ${name}: exactly its ${paths.length} files`);
    return;
  }
  failures++;
  console.error(`✖ ${name}: files\n${wrong.join("\n")}`);
}

for (const { folder, manifest } of published) {
  const packed = run(
    `${manifest.name}: pack`,
    folder,
    npmCommand("npm", ["pack", "--json", "--pack-destination", temporary]),
  );
  if (packed === undefined) continue;
  const [{ filename, files }] = [JSON.parse(packed)].flat();
  const paths = files.map(({ path }) => path);
  checkFiles(manifest.name, expectedFiles(folder, manifest), paths);
  const tarball = join(temporary, filename);
  tarballs.set(manifest.name, tarball);
  run(`${manifest.name}: publint`, root, withArguments(programOf("publint", "publint"), "run", tarball, "--strict"));
  if (manifest.exports !== undefined) {
    const profile = manifest.main === undefined ? "esm-only" : "node16"; // with "main" it is for require, too
    run(
      `${manifest.name}: types`,
      root,
      withArguments(programOf("@arethetypeswrong/cli", "attw"), tarball, "--profile", profile, "--no-emoji"),
    );
  }
}

/** How other runtimes run a file. */
const RUNTIMES = { bun: ["run"], deno: ["run", "--allow-all", "--no-check"] };
/** Entries that need nothing of a platform but what pages and Workers have. */
const WITHOUT_NODE = ["tungstate/browser", "tungstate/workers", "@tungstate/protocol"];
/** Entries that are not for Bun and Deno, or need a package that is not installed here. */
const NODE_ONLY = /^(?:@tungstate\/ws|@tungstate\/cli|create-tungstate)/;

/** Bundles an entry as a page does, and checks that nothing of Node.js is in the bundle. */
async function checkBundle(bundler, specifier, build) {
  const title = `${specifier}: bundle with ${bundler}`;
  try {
    const text = await build();
    const [found] = /\b(?:from|import)\s*\(?\s*["'][^"']+["']|\brequire\(/.exec(text) ?? [];
    if (found !== undefined || text.length === 0) throw new Error(`the bundle contains ${found ?? "nothing"}`);
    console.log(`✔ ${title}`);
  } catch (error) {
    failures++;
    console.error(`✖ ${title}\n${error.message}`);
  }
}

async function checkBundles(specifier, folder) {
  const entry = join(folder, "entry.js");
  writeFileSync(entry, `import * as all from ${JSON.stringify(specifier)};\nglobalThis.all = all;\n`);
  await checkBundle("esbuild", specifier, async () => {
    const { outputFiles } = await buildWithEsbuild({
      entryPoints: [entry],
      bundle: true,
      format: "esm",
      platform: "browser",
      write: false,
      logLevel: "silent",
    });
    return outputFiles[0].text;
  });
  await checkBundle("Vite", specifier, async () => {
    const [{ output }] = [
      await buildWithVite({
        root: folder,
        configFile: false,
        logLevel: "silent",
        build: { write: false, minify: false, rolldownOptions: { input: entry } },
      }),
    ].flat();
    return output.map(({ code = "" }) => code).join("");
  });
}

function checkRuntimes(specifier, folder) {
  for (const [runtime, args] of Object.entries(RUNTIMES)) {
    const binary = installedBinaryOf(runtime);
    if (binary === undefined || NODE_ONLY.test(specifier)) continue;
    const file = join(folder, "load.mjs");
    writeFileSync(file, `await import(${JSON.stringify(specifier)});\n`);
    run(`${specifier}: import with ${runtime}`, folder, [binary, [...args, file]]);
  }
}

for (const runtime of Object.keys(RUNTIMES)) {
  if (installedBinaryOf(runtime) === undefined) {
    console.log(`${runtime} is not installed: entries are not loaded with it. Run npm run test:runtimes -- ${runtime}`);
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
  if (run(`${manifest.name}: install`, folder, npmCommand("npm", install)) === undefined) continue;
  for (const entry of Object.keys(manifest.exports ?? {}).filter((name) => name !== "./package.json")) {
    const specifier = manifest.name + entry.slice(1);
    run(`${specifier}: import`, folder, [
      process.execPath,
      ["-e", `await import(${JSON.stringify(specifier)})`, "--input-type=module"],
    ]);
    checkRuntimes(specifier, folder);
    if (WITHOUT_NODE.includes(specifier)) await checkBundles(specifier, folder);
  }
  for (const name of Object.keys(manifest.bin ?? {})) {
    run(`${name} --help`, folder, npmCommand("npx", ["--no-install", name, "--help"]));
  }
}
if (failures > 0) process.exit(1);
