// Bundles test files into one script without Node.js. Files that need more of Node.js than
// node:test and node:assert/strict are left out, and listed.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { root } from "../../workspaces.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
/** What takes the place of modules of Node.js. */
const REPLACED = {
  "node:test": `export * from ${JSON.stringify(here("test.mjs"))};`,
  "node:assert/strict": `export { assert as default } from ${JSON.stringify(here("assert.mjs"))};`,
};

/** The text and the imports of Node.js's modules of a bundle of one entry. */
async function bundle(contents) {
  const modules = new Set();
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root, loader: "js" },
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
    logLevel: "error",
    keepNames: true,
    plugins: [
      {
        name: "node",
        setup(builder) {
          builder.onResolve({ filter: /^(?:node:|fs$|path$)/ }, ({ path }) => {
            if (REPLACED[path] !== undefined) return { path, namespace: "replaced" };
            modules.add(path);
            return { path, external: true };
          });
          builder.onLoad({ filter: /^/, namespace: "replaced" }, ({ path }) => ({
            contents: REPLACED[path],
            resolveDir: root,
          }));
        },
      },
    ],
  });
  return { text: outputFiles[0].text, modules: [...modules] };
}

/**
 * Returns a module that exports `run()`, which runs all tests and returns their results, and the
 * files that are not in it with what they need.
 */
export async function bundleTests(files) {
  const left = [];
  const portable = [];
  for (const file of files) {
    const { modules } = await bundle(`import ${JSON.stringify(`./${file}`)};`);
    if (modules.length === 0) portable.push(file);
    else left.push({ file, needs: modules });
  }
  const { text } = await bundle(`
    import { runAll, startFile } from "node:test";
    export async function run() {
      ${portable.map((file) => `startFile(${JSON.stringify(file)}); await import(${JSON.stringify(`./${file}`)});`).join("\n")}
      return runAll();
    }`);
  return { text, left };
}
