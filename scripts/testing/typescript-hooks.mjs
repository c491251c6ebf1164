import { fileURLToPath } from "node:url";
import { compile } from "./compile.mjs";

/** Loads a TypeScript file of this repository as its JavaScript. */
export function load(url, context, nextLoad) {
  if (!url.startsWith("file:") || !url.endsWith(".ts")) return nextLoad(url, context);
  return { format: "module", shortCircuit: true, source: compile(fileURLToPath(url)) };
}
