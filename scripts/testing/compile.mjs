// TypeScript to JavaScript by esbuild, file by file. Results are kept in node_modules/.cache, by
// the hash of the source.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const folder = fileURLToPath(new URL("../../node_modules/.cache/compiled-tests/", import.meta.url));
const esbuildVersion = require("esbuild/package.json").version;

/** esbuild, whose synchronous calls leave no process behind. */
function loadEsbuild() {
  const before = process.env.ESBUILD_WORKER_THREADS;
  process.env.ESBUILD_WORKER_THREADS = "0"; // it looks when it is loaded
  try {
    return require("esbuild");
  } finally {
    if (before === undefined) delete process.env.ESBUILD_WORKER_THREADS;
    else process.env.ESBUILD_WORKER_THREADS = before;
  }
}

function optionsFor(path) {
  return {
    loader: "ts",
    format: "esm",
    target: `node${process.versions.node}`,
    sourcefile: path,
    sourcemap: "inline",
    sourcesContent: false,
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  };
}

function cacheFileOf(path, source) {
  const hash = createHash("sha1");
  for (const part of [esbuildVersion, process.versions.node, path, source]) hash.update(`${part}\0`);
  return join(folder, `${hash.digest("hex")}.js`);
}

function cached(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function keep(file, code) {
  mkdirSync(folder, { recursive: true });
  // Processes that compile the same file at the same time each write a whole file.
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, code);
  renameSync(temporary, file);
}

/** Returns the JavaScript of a TypeScript file, with an inline source map. */
export function compile(path) {
  const source = readFileSync(path, "utf8");
  const file = cacheFileOf(path, source);
  const known = cached(file);
  if (known !== undefined) return known;
  const { code } = loadEsbuild().transformSync(source, optionsFor(path));
  keep(file, code);
  return code;
}

/**
 * Compiles all of these files that are not in the cache yet, with one esbuild. A file with a syntax
 * error is left out.
 */
export async function compileAll(paths) {
  const missing = paths
    .map((path) => ({ path, source: readFileSync(path, "utf8") }))
    .map(({ path, source }) => ({ path, source, file: cacheFileOf(path, source) }))
    .filter(({ file }) => cached(file) === undefined);
  if (missing.length === 0) return;
  const { transform, stop } = loadEsbuild();
  await Promise.all(
    missing.map(async ({ path, source, file }) => {
      const result = await transform(source, { ...optionsFor(path), logLevel: "silent" }).catch(() => undefined);
      if (result !== undefined) keep(file, result.code);
    }),
  );
  await stop();
}
