// Entry point of npm run interop:http2; `--help` lists the options.
import process from "node:process";
import { commandLine, integer, someOf } from "../../../../../scripts/command-line.mjs";
import { browser } from "./browsers.ts";
import { direct, PROXIES, through } from "./peers.ts";
import { endPrograms, Workspace } from "./servers.ts";

const BROWSERS = ["Chromium", "Firefox"];

/** What each row does; it returns what it showed, and throws if a check fails. */
const ROWS: Readonly<Record<string, (workspace: Workspace, sockets: number) => Promise<string>>> = {
  direct,
  ...Object.fromEntries(
    BROWSERS.map((name) => [
      name,
      (workspace: Workspace, sockets: number) => browser(name, sockets, workspace.certificate),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(PROXIES).map(([name, proxy]) => [
      name,
      (workspace: Workspace, sockets: number) => through(proxy, workspace, sockets),
    ]),
  ),
};
const NAMES = Object.keys(ROWS);

const { rows, sockets } = commandLine({
  command: "npm run interop:http2 --",
  summary: "Runs WebSockets over HTTP/2 with browsers and proxies of the system.",
  options: {
    rows: someOf({ of: NAMES, help: "rows", byDefault: NAMES }),
    sockets: integer({ least: 2, most: 90, help: "sockets of each row", byDefault: 50 }),
  },
});

const ROW_TIMEOUT = 120_000; // ms, after which a row that hangs has failed

function limited(row: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no result in ${ROW_TIMEOUT / 1000} s`)), ROW_TIMEOUT);
  });
  return Promise.race([row, late]).finally(() => clearTimeout(timer));
}

const workspace = new Workspace();
async function exit(): Promise<never> {
  await endPrograms();
  workspace[Symbol.dispose]();
  process.exit(); // a row that hangs may hold the process
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    process.exitCode = 1;
    void exit();
  });
}

console.log("| peer | result |\n| --- | --- |");
for (const name of rows) {
  try {
    console.log(`| ${name} | ${await limited(ROWS[name]?.(workspace, sockets) ?? Promise.resolve(""))} |`);
  } catch (error) {
    process.exitCode = 1;
    const message = error instanceof Error ? error.message : String(error);
    console.log(`| ${name} | FAILED: ${message.split("\n").join(" ").slice(0, 300)} |`);
  }
}
await exit();
