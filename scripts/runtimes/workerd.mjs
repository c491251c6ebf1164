// Runs a Worker in workerd.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMPATIBILITY_DATE = "2026-11-01";

function configOf(modules, fields) {
  const list = Object.keys(modules).map((name) => `    (name = "${name}", esModule = embed "${name}"),\n`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
${list.join("")}  ],
  compatibilityDate = "${COMPATIBILITY_DATE}",
${fields});
`;
}

/**
 * Starts workerd with ES modules, given by name. The first one is the Worker. `fields` are further
 * lines of its configuration, and `output` is the `stdio` of what workerd prints. Returns the port,
 * and a function that ends the process.
 */
export async function startWorkerd(binary, modules, { fields = "", output = "inherit" } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "tungstate-workerd-"));
  for (const [name, text] of Object.entries(modules)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, "config.capnp"), configOf(modules, fields));
  const child = spawn(binary, ["serve", join(folder, "config.capnp"), "--control-fd=3"], {
    stdio: ["ignore", output, output, "pipe"],
  });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  let control = "";
  for await (const chunk of child.stdio[3]) {
    control += chunk;
    const port = /"port":(\d+)/.exec(control)?.[1];
    if (port !== undefined) return { port: Number(port), stop };
  }
  await stop();
  throw new Error(`workerd has not started: ${control}`);
}
