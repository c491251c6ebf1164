import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { BUILT, buildCeiling } from "../load/build.ts";
import { compileScripts } from "./compile.ts";

export const PEER_NAMES = ["tungstate", "ws", "uws", "bun", "c"] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export interface Peer {
  readonly name: PeerName;
  /** Program and arguments. */
  readonly command: readonly string[];
}

/**
 * Returns how to start a peer; with `workers`, that many with node:cluster. Undefined if the peer
 * does not support node:cluster.
 */
export function commandOf({ name, command }: Peer, workers?: number): readonly string[] | undefined {
  if (workers === undefined) return command;
  const [node, script] = command;
  if ((name !== "tungstate" && name !== "ws") || node === undefined || script === undefined) return undefined;
  return [node, join(BUILT, "servers", "cluster.mjs"), String(workers), script];
}

export const PEER_TITLES: Readonly<Record<PeerName, string>> = {
  tungstate: "Tungstate",
  ws: "ws",
  uws: "uWebSockets.js",
  bun: "Bun",
  c: "C epoll",
};

const SERVERS = fileURLToPath(new URL("../servers/", import.meta.url));

/**
 * Returns how to start each peer, or why it is not available. `node` runs the peers written for
 * Node.
 */
export async function preparePeers(
  names: readonly PeerName[],
  node: string,
): Promise<ReadonlyMap<PeerName, Peer | string>> {
  const programs = ["cluster", ...names.filter((name) => name !== "c")];
  await compileScripts(
    programs.map((name) => join(SERVERS, `${name}.ts`)),
    join(BUILT, "servers"),
  );
  const peers = new Map<PeerName, Peer | string>();
  for (const name of names) peers.set(name, await prepare(name, node));
  return peers;
}

async function prepare(name: PeerName, node: string): Promise<Peer | string> {
  const script = join(BUILT, "servers", `${name}.mjs`);
  switch (name) {
    case "c":
      return { name, command: [await buildCeiling()] };
    case "bun": {
      const bun = bunProgram();
      return bun === undefined ? `no Bun for ${process.platform} ${process.arch}` : { name, command: [bun, script] };
    }
    case "tungstate":
    case "ws":
    case "uws":
      return { name, command: [node, script] };
  }
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
