import { build } from "esbuild";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
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

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "worker.js", esModule = embed "worker.js"),
  ],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [(className = "Room", uniqueKey = "room")],
  durableObjectStorage = (inMemory = void),
  bindings = [(name = "ROOM", durableObjectNamespace = "Room")],
);
`;

/** Runs a Worker in workerd. Ends with the test. */
export async function startWorkerd(t: TestContext, binary: string, script: string): Promise<WorkerPlatform> {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-workerd-"));
  writeFileSync(join(folder, "main.js"), `export { Room, worker as default } from "worker.js";\n`);
  writeFileSync(join(folder, "worker.js"), script);
  writeFileSync(join(folder, "config.capnp"), CONFIG);
  const child = spawn(binary, ["serve", join(folder, "config.capnp"), "--control-fd=3"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    rmSync(folder, { recursive: true, force: true });
  });
  let control = "";
  for await (const chunk of child.stdio[3] as Readable) {
    control += String(chunk);
    const port = /"port":(\d+)/.exec(control)?.[1];
    if (port !== undefined) return { port: Number(port) };
  }
  throw new Error(`workerd has not started: ${control}`);
}
