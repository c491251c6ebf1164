// Starts npm and npx on all systems. On Windows they are `.cmd` files, which Node.js does not start
// without a shell; their scripts start everywhere.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";

/**
 * Returns the command and its arguments that start `npm` or `npx`: the npm that runs this script,
 * or that of Node.js, or the one on PATH.
 */
export function npmCommand(program, args) {
  const script = `${program}-cli.js`;
  const current = process.env.npm_execpath;
  const installed = dirname(process.execPath);
  const folders = [
    ...(current !== undefined && basename(current) === "npm-cli.js" ? [dirname(current)] : []),
    join(installed, "node_modules", "npm", "bin"), // Windows
    join(installed, "..", "lib", "node_modules", "npm", "bin"),
  ];
  const found = folders.map((folder) => join(folder, script)).find((path) => existsSync(path));
  return found === undefined ? [program, args] : [process.execPath, [found, ...args]];
}

/** Runs npm as `spawnSync()` does. */
export function spawnNpm(args, options) {
  const [command, all] = npmCommand("npm", args);
  return spawnSync(command, all, options);
}
