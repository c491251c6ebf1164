import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { binaryOf } from "../../scripts/runtimes/binaries.mjs";
import { BUILT, buildCeiling } from "../load/build.ts";
import { compileScripts } from "./compile.ts";

/** The peers that are measured by default. */
export const DEFAULT_PEERS = ["tungstate", "ws", "uws", "uws-latest", "bun", "c"] as const;
/**
 * `tungstate-bun` and `tungstate-deno`: Tungstate on Bun and on Deno, to compare with `Bun.serve`
 * (`bun`) and `Deno.serve` (`deno`).
 */
export const PEER_NAMES = [...DEFAULT_PEERS, "deno", "tungstate-bun", "tungstate-deno"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export interface Peer {
  readonly name: PeerName;
  /** Program and arguments. */
  readonly command: readonly string[];
}

/** What a row requires of a server's command. */
export interface RowServer {
  readonly workers?: number;
  readonly route?: string;
  readonly deflate?: boolean;
}

/**
 * Returns how to start a peer for a row; with `workers`, that many with node:cluster. Undefined if
 * the peer does not support node:cluster.
 */
export function commandOf(
  { name, command }: Peer,
  { workers, route, deflate }: RowServer,
): readonly string[] | undefined {
  if (route === "serve" && name === "tungstate") {
    const [node = ""] = command;
    return [node, CLI, "serve", "--port", "0", ...(deflate === true ? ["--compression"] : [])];
  }
  if (workers === undefined) return command;
  const [node, script] = command;
  if ((name !== "tungstate" && name !== "ws") || node === undefined || script === undefined) return undefined;
  return [node, join(BUILT, "servers", "cluster.mjs"), String(workers), script];
}

export const PEER_TITLES: Readonly<Record<PeerName, string>> = {
  tungstate: "Tungstate",
  ws: "ws",
  uws: "uWebSockets.js 20.30",
  "uws-latest": "uWebSockets.js 20.57",
  bun: "Bun",
  deno: "Deno",
  "tungstate-bun": "Tungstate on Bun",
  "tungstate-deno": "Tungstate on Deno",
  c: "C epoll",
};

/**
 * Rebuilt from the C++ sources for Node.js 20 to 25. Its 110 MB are installed when it is first
 * measured.
 */
const LATEST_UWS = { name: "@btc-vision/uwebsockets.js", version: "20.57.0" };

const CLI = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
const SERVERS = fileURLToPath(new URL("../servers/", import.meta.url));

/**
 * Returns how to start each peer, or why it is not available. `node` runs the peers written for
 * Node.
 */
export async function preparePeers(
  names: readonly PeerName[],
  node: string,
): Promise<ReadonlyMap<PeerName, Peer | string>> {
  const programs = new Set(["cluster", ...names.map(programOf).filter((name) => name !== "c")]);
  await compileScripts(
    [...programs].map((name) => join(SERVERS, `${name}.ts`)),
    join(BUILT, "servers"),
  );
  const peers = new Map<PeerName, Peer | string>();
  for (const name of names) peers.set(name, await prepare(name, node));
  return peers;
}

async function prepare(name: PeerName, node: string): Promise<Peer | string> {
  const script = join(BUILT, "servers", `${programOf(name)}.mjs`);
  switch (name) {
    case "c":
      return { name, command: [await buildCeiling()] };
    case "bun":
    case "tungstate-bun": {
      const bun = bunProgram();
      return bun === undefined ? `no Bun for ${process.platform} ${process.arch}` : { name, command: [bun, script] };
    }
    case "deno":
    case "tungstate-deno":
      // its newest version is installed when it is first measured
      return { name, command: [binaryOf("deno"), "run", "--allow-all", "--no-check", script] };
    case "uws-latest": {
      const module = installLatestUws();
      return module === undefined
        ? `${LATEST_UWS.name} could not be installed`
        : { name, command: ["env", `UWS=${module}`, node, join(BUILT, "servers", "uws.mjs")] };
    }
    case "tungstate":
    case "ws":
    case "uws":
      return { name, command: [node, script] };
  }
}

/** Returns the name of the server's program: that of Tungstate is the same for all runtimes. */
function programOf(name: PeerName): string {
  if (name.startsWith("tungstate")) return "tungstate";
  return name === "uws-latest" ? "uws" : name;
}

/** Returns the folder of the package. */
function installLatestUws(): string | undefined {
  const { name, version } = LATEST_UWS;
  const folder = join(BUILT, `uws-${version}`);
  const module = join(folder, "node_modules", name);
  if (!existsSync(join(module, "package.json"))) {
    mkdirSync(folder, { recursive: true });
    const quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
    spawnSync("npm", ["install", ...quiet, "--prefix", folder, `${name}@${version}`], {
      stdio: "ignore",
      timeout: 120_000,
    });
  }
  return existsSync(join(module, "package.json")) ? module : undefined;
}

function bunProgram(): string | undefined {
  const arch = process.arch === "arm64" ? "aarch64" : process.arch;
  try {
    const manifest = createRequire(import.meta.url).resolve(`@oven/bun-${process.platform}-${arch}/package.json`);
    const file = join(manifest, "..", "bin", "bun");
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}
