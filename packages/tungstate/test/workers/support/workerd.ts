import { build } from "esbuild";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { startWorkerd as start } from "../../../../../scripts/runtimes/workerd.mjs";
import type { WorkerPlatform } from "./suite.ts";

/** Bundles a script for workerd and for pages: one module, without Node.js. */
export async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}

const ROOM = `  durableObjectNamespaces = [(className = "Room", uniqueKey = "room")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "ROOM", durableObjectNamespace = "Room")],
`;

/** Runs a Worker in workerd. Ends with the test. */
export async function startWorkerd(t: TestContext, binary: string, script: string): Promise<WorkerPlatform> {
  const main = `export { Room, worker as default } from "worker.js";\n`;
  const modules = { "main.js": main, "worker.js": script };
  const { port, stop } = await start(binary, modules, { fields: ROOM, output: "ignore" });
  t.after(stop);
  return { port };
}
