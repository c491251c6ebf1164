// Runs the tests of a package against its compiled form without any global that is not
// ECMAScript's: node scripts/no-globals/run.mjs packages/protocol
//
// Tests may use Node's globals. Each test file is bundled with these globals as imports, while the
// package stays outside of the bundle, as the files in its dist. The globals can then be deleted
// before the package is loaded.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";

/**
 * Examples of a property that does not say how many: enough to run its code. The tests of the
 * sources have more, to find input that breaks it.
 */
const RUNS = 10;

const root = fileURLToPath(new URL("../..", import.meta.url));
const packageFolder = resolve(process.argv[2] ?? "packages/protocol");
const cache = join(root, "node_modules", ".cache");
mkdirSync(cache, { recursive: true });
const out = mkdtempSync(join(cache, "no-globals-"));
process.once("exit", () => rmSync(out, { recursive: true }));

// A new context has ECMAScript's globals, and two of V8's.
const own = new Set(runInNewContext("Object.getOwnPropertyNames(globalThis)"));
for (const name of ["console", "WebAssembly"]) own.delete(name);
const foreign = Object.getOwnPropertyNames(globalThis).filter((name) => !own.has(name));

// Node initialises these lazily and needs WebAssembly for it later. Tests without I/O do not use
// them.
const NETWORK = [
  "fetch",
  "FormData",
  "Headers",
  "Request",
  "Response",
  "MessageEvent",
  "CloseEvent",
  "WebSocket",
  "EventSource",
];
const given = foreign.filter((name) => !NETWORK.includes(name));

writeFileSync(
  join(out, "globals.mjs"),
  `import "node:test";
import "node:assert/strict";
import fc from "fast-check";
fc.configureGlobal({ numRuns: ${RUNS} });
${given.map((name) => `const saved_${name} = globalThis.${name};`).join("\n")}
for (const name of ${JSON.stringify(foreign)}) {
  if (!Reflect.deleteProperty(globalThis, name)) throw new Error(\`\${name} cannot be taken away\`);
}
export { ${given.map((name) => `saved_${name} as ${name}`).join(", ")} };
`,
);

/** `../src/x.ts` is `dist/x.js`; other relative imports belong to the test. */
const compiled = {
  name: "compiled",
  setup(builder) {
    const source = join(packageFolder, "src") + sep;
    builder.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const file = resolve(resolveDir, path);
      if (!file.startsWith(source)) return undefined;
      const output = join(packageFolder, "dist", relative(source, file)).replace(/\.ts$/, ".js");
      if (!existsSync(output)) return { errors: [{ text: `${output} has not been built` }] };
      return { path: pathToFileURL(output).href, external: true };
    });
    builder.onResolve({ filter: /^no-globals$/ }, () => ({ path: join(out, "globals.mjs"), external: true }));
    // A test may look for files relative to itself.
    builder.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8")
        .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
        .replaceAll("import.meta.dirname", JSON.stringify(dirname(path))),
      loader: "ts",
    }));
  },
};

const tests = readdirSync(join(packageFolder, "test"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .sort();
if (tests.length === 0) throw new Error(`${packageFolder} has no tests`);
// The replacement of a global: an import from the module above.
const inject = join(out, "inject.mjs");
writeFileSync(inject, `export { ${given.join(", ")} } from "no-globals";\n`);

await build({
  entryPoints: tests.map((test) => join(packageFolder, "test", test)),
  outdir: out,
  outbase: join(packageFolder, "test"),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  format: "esm",
  platform: "node",
  target: "esnext",
  inject: [inject],
  plugins: [compiled],
  logLevel: "warning",
});
// All tests run in one process, which takes half of the time. Imports of the bundles, and so the
// package, are evaluated after the line that deletes the globals.
const entry = join(out, "all.test.mjs");
const bundles = tests.map((test) => `./${test.replaceAll(sep, "/").slice(0, -".ts".length)}.mjs`);
writeFileSync(entry, ["./globals.mjs", ...bundles].map((module) => `import ${JSON.stringify(module)};\n`).join(""));

// Set for test files started by a test runner; this process is another runner.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
const run = spawnSync(process.execPath, ["--test", "--test-reporter=spec", entry], {
  cwd: root,
  stdio: "inherit",
  env,
});
if (run.error !== undefined) throw run.error;
process.exit(run.status ?? 1);
