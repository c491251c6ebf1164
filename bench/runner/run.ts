import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { BUILT, buildLoad, type LoadProgram } from "../load/build.ts";
import type { LoadCommand } from "../load/run.ts";
import { Results } from "../report/results.ts";
import type { Row } from "../rows.ts";
import { connectionLimit, pinning } from "./machine.ts";
import { measure, type Timing } from "./measure.ts";
import { commandOf, type Peer, type PeerName, preparePeers } from "./peers.ts";
import { type ServerFlags, startServer } from "./server.ts";

export interface BenchOptions {
  readonly rows: readonly Row[];
  readonly peers: readonly PeerName[];
  readonly rounds: number;
  readonly timing: Timing;
  /** The Node.js binary that runs the servers written for it. */
  readonly node?: string;
  /** Receives progress messages. */
  readonly log?: (line: string) => void;
}

export interface BenchRun {
  readonly results: Results;
  /** How it was run, for the report. */
  readonly notes: readonly string[];
}

/**
 * Runs each row with each server in each round. Servers are restarted for each row, and their order
 * rotates.
 */
export async function runBench(options: BenchOptions): Promise<BenchRun> {
  const { rounds, log = () => {}, node = process.execPath } = options;
  const program = await buildLoad();
  const cores = pinning();
  const { connections, prefix } = connectionLimit();
  const notes = [
    ...(options.rows.some((row) => row.workers === undefined) ? [cores.text] : []),
    ...(options.rows.some((row) => row.workers !== undefined)
      ? ["workers and their load generator are not pinned"]
      : []),
    `load average before it ${loadavg()[0]?.toFixed(2)}`,
  ];
  const rows = options.rows.filter((row) => {
    const reason = reasonToSkip(row, program, connections);
    if (reason !== undefined) notes.push(`skipped: ${row.title}: ${reason}`);
    return reason === undefined;
  });
  const results = new Results(rows, options.peers);
  const peers = new Map<PeerName, Peer>();
  for (const [name, peer] of await preparePeers(options.peers, node)) {
    if (typeof peer === "string") results.absent.set(name, peer);
    else await probe(peer, cores.server, results, peers);
  }
  for (const [name, reason] of results.absent) notes.push(`not available: ${name}: ${reason}`);
  for (const note of notes) log(note);
  const present = [...peers.values()];
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      const pins = row.workers === undefined ? cores : { server: [], load: [] };
      const load: LoadCommand = { program, prefix: [...prefix, ...pins.load] };
      const turned = present.map((_, index) => present[(index + round) % present.length]);
      for (const peer of turned) {
        if (peer === undefined || results.failure(row, peer.name) !== undefined) continue;
        // supports neither
        if (peer.name === "c" && (row.tls === true || row.deflate === true)) continue;
        const command = commandOf(peer, row);
        if (command === undefined) continue;
        try {
          const server = await startServer([...prefix, ...pins.server, ...command], flagsOf(row));
          try {
            results.add(row, peer.name, round, await measure(row, server, load, options.timing));
          } finally {
            await server.stop();
          }
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          results.fail(row, peer.name, reason);
          log(`${peer.name}: ${row.name}: ${reason}`);
        }
      }
      log(`round ${round + 1}/${rounds}: ${row.name}`);
    }
  }
  return { results, notes };
}

// Starts it once to check that it runs and to read its name.
async function probe(peer: Peer, pin: readonly string[], results: Results, peers: Map<PeerName, Peer>): Promise<void> {
  try {
    const server = await startServer([...pin, ...peer.command]);
    results.titles.set(peer.name, server.title);
    await server.stop();
    peers.set(peer.name, peer);
  } catch (error) {
    results.absent.set(peer.name, error instanceof Error ? error.message : String(error));
  }
}

function connectionsOf(row: Row): number {
  return Math.max(row.load.connections ?? 1, row.idle?.to ?? 0);
}

function reasonToSkip(row: Row, program: LoadProgram, most: number): string | undefined {
  if (row.deflate === true && !program.hasDeflate)
    return "the load generator was compiled without zlib: its headers are missing";
  if (row.tls === true && !program.hasTls)
    return "the load generator was compiled without OpenSSL: its headers are missing";
  if (row.tls === true && certificate() === undefined)
    return "the openssl program, which makes the certificate, is missing";
  if (connectionsOf(row) > most) return `at most ${most} connections are permitted`;
  return undefined;
}

function flagsOf(row: Row): ServerFlags {
  const tls = row.tls === true ? certificate() : undefined;
  const { route, option } = row;
  return { deflate: row.deflate === true, route, option, ...(tls === undefined ? {} : { tls }) };
}

/** A self-signed certificate, created once. */
function certificate(): { readonly key: string; readonly cert: string } | undefined {
  const [key, cert] = [join(BUILT, "tls.key"), join(BUILT, "tls.pem")];
  if (existsSync(cert)) return { key, cert };
  mkdirSync(BUILT, { recursive: true });
  try {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const out = ["-keyout", key, "-out", cert, "-subj", "/CN=localhost"];
    execFileSync("openssl", ["req", "-x509", ...curve, "-nodes", "-days", "3650", ...out], { stdio: "ignore" });
    return { key, cert };
  } catch {
    return undefined;
  }
}
