// Bundles the package as CommonJS, for loaders that cannot `require` an ES module. Runs after the
// compiler.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url));

await build({
  entryPoints: [pathOf("dist/index.js")],
  outfile: pathOf("dist/commonjs.cjs"),
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20.19",
  external: ["koffi"], // an optional dependency of tungstate
  keepNames: true,
  legalComments: "none",
  logLevel: "warning",
});
