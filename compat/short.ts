// The short form: the packages of this repository's node_modules, with another ws.
import { cpSync, lstatSync, mkdirSync, readdirSync, realpathSync, symlinkSync, existsSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine } from "./project.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const SCENARIOS = fileURLToPath(new URL("scenarios", import.meta.url));

/**
 * Node.js resolves the links of the project by their own place, so that all of them share its ws.
 */
export const NODE_OPTIONS = ["--preserve-symlinks", "--preserve-symlinks-main"];

/**
 * Creates a project whose node_modules has links to the packages that are installed here, and a
 * copy of one of the implementations as ws. `copied` are packages to copy, whose files are run by
 * path.
 */
export function link(folder: string, engine: Engine, copied: readonly string[]): void {
  const [source, target] = [join(root, "node_modules"), join(folder, "node_modules")];
  const add = (name: string): void => {
    const from = join(source, name);
    if (!lstatSync(realpathSync(from)).isDirectory()) return;
    // a nested copy of ws would be found first
    const nested = join(from, "node_modules", "ws");
    if (existsSync(nested) || copied.includes(name))
      cpSync(from, join(target, name), { recursive: true, filter: (path) => path !== nested });
    else symlinkSync(from, join(target, name));
  };
  mkdirSync(target, { recursive: true });
  for (const entry of readdirSync(source)) {
    if (entry === "ws" || entry.startsWith(".")) continue;
    if (!entry.startsWith("@")) add(entry);
    else {
      mkdirSync(join(target, entry));
      for (const name of readdirSync(join(source, entry))) add(join(entry, name));
    }
  }
  const implementation = realpathSync(join(source, engine));
  cpSync(implementation, join(target, "ws"), {
    recursive: true,
    filter: (path) => basename(path) !== "node_modules",
  });
  cpSync(SCENARIOS, folder, { recursive: true });
}
