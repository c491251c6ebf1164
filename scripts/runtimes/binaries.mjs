// Binaries of JavaScript runtimes, from npm packages. They are installed when they are first
// needed, into a folder that Git ignores, without the install scripts of their packages.
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { spawnNpm } from "../npm.mjs";
import { root } from "../workspaces.mjs";

const { arch, platform } = process;
const windows = platform === "win32";
const system = windows ? "windows" : platform;

/**
 * By name: the npm package that contains the binary, its path in the package, and the arguments
 * that print its version.
 */
const PACKAGES = {
  bun: {
    name: `@oven/bun-${system}-${arch === "arm64" ? "aarch64" : arch}`,
    file: windows ? "bin/bun.exe" : "bin/bun",
  },
  deno: {
    name: `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`,
    file: windows ? "deno.exe" : "deno",
  },
  workerd: {
    name: `@cloudflare/workerd-${system}-${arch === "x64" ? "64" : arch}`,
    file: windows ? "bin/workerd.exe" : "bin/workerd",
  },
};

function packageOf(runtime) {
  const node = /^node(\d+)$/.exec(runtime)?.[1];
  if (node === undefined) return { ...PACKAGES[runtime], tag: "latest" };
  return { name: `node-${windows ? "win" : platform}-${arch}`, file: windows ? "bin/node.exe" : "bin/node", tag: node };
}

/** Returns the path of a binary that is installed; undefined if it is not. */
export function installedBinaryOf(runtime) {
  const { name, file } = packageOf(runtime);
  const binary = join(root, "node_modules", ".cache", `runtime-${runtime}`, "node_modules", name, file);
  return existsSync(binary) ? binary : undefined;
}

/**
 * Returns the path of a binary: `bun`, `deno`, `workerd`, or `node22` for the newest Node.js 22.
 * Installs its package unless that was done before; `fresh` installs it again. Throws if it cannot
 * be installed.
 */
export function binaryOf(runtime, { fresh = false } = {}) {
  const { name, file, tag } = packageOf(runtime);
  const folder = join(root, "node_modules", ".cache", `runtime-${runtime}`);
  const binary = join(folder, "node_modules", name, file);
  if (fresh) rmSync(folder, { recursive: true, force: true });
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const flags = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
  const run = spawnNpm(["install", ...flags, "--prefix", folder, `${name}@${tag}`], {
    cwd: folder,
    encoding: "utf8",
  });
  if (run.status !== 0 || !existsSync(binary)) {
    throw new Error(`could not install ${name}@${tag} for ${runtime}\n${run.error ?? run.stderr}`);
  }
  return binary;
}
