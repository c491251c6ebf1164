import { execFile } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BUILT, buildHubLoad, buildLoad } from "../load/build.ts";
import { compileScripts } from "../runner/compile.ts";
import { connectionLimit, pinning } from "../runner/machine.ts";
import { measure, type Sample, type Timing } from "../runner/measure.ts";
import { type ServerProcess, startServer } from "../runner/server.ts";
import type { SocketsRow } from "./rows.ts";

export const ENGINES = ["ws", "@tungstate/ws"] as const;
export type Engine = (typeof ENGINES)[number];

const SERVERS = fileURLToPath(new URL("servers/", import.meta.url));
const BUILT_SERVERS = join(BUILT, "ws");
const LOAD_TIMEOUT = 90_000; // ms

export interface SocketsRun {
  readonly rows: readonly SocketsRow[];
  readonly notes: readonly string[];
  readonly titles: ReadonlyMap<Engine, string>;
  /** Samples of each row and engine, one for each round, or why there is none. */
  readonly samples: ReadonlyMap<string, readonly (Sample | string)[]>;
}

export interface RunOptions {
  readonly rows: readonly SocketsRow[];
  readonly rounds: number;
  readonly timing: Timing;
  readonly log?: (line: string) => void;
}

export function keyOf(row: SocketsRow, engine: Engine): string {
  return `${row.name} ${engine}`;
}

/**
 * Runs each row on each engine in each round. Servers are restarted for each, and their order
 * rotates.
 */
export async function runSockets({ rows, rounds, timing, log = () => {} }: RunOptions): Promise<SocketsRun> {
  await compileScripts(
    ["sockets", "socketio"].map((name) => join(SERVERS, `${name}.ts`)),
    BUILT_SERVERS,
  );
  const program = await buildLoad();
  const cores = pinning();
  const { prefix } = connectionLimit();
  const load = { program, prefix: [...prefix, ...cores.load] };
  const notes = [cores.text, `load average before it ${loadavg()[0]?.toFixed(2)}`];
  const titles = new Map<Engine, string>();
  const samples = new Map<string, (Sample | string)[]>();
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      for (const engine of round % 2 === 0 ? ENGINES : ENGINES.toReversed()) {
        const script = join(BUILT_SERVERS, `${row.server}.mjs`);
        const command = [...prefix, ...cores.server, process.execPath, script, engine, row.attached ?? "server"];
        let outcome: Sample | string;
        try {
          const server = await startServer(command, { deflate: row.deflate === true });
          if (row.server === "sockets") titles.set(engine, server.title);
          try {
            outcome =
              row.server === "sockets"
                ? await measure(row, server, load, timing)
                : await measureSocketIo(row, server, load.prefix, timing);
          } finally {
            await server.stop();
          }
        } catch (error) {
          outcome = error instanceof Error ? error.message : String(error);
        }
        const key = keyOf(row, engine);
        samples.set(key, [...(samples.get(key) ?? []), outcome]);
        log(`round ${round + 1}/${rounds}: ${key}${typeof outcome === "string" ? `: ${outcome}` : ""}`);
      }
    }
  }
  return { rows, notes, titles, samples };
}

/** The load generator of bench/hub speaks Socket.IO. */
async function measureSocketIo(
  { load }: SocketsRow,
  { port, pid }: ServerProcess,
  prefix: readonly string[],
  { seconds, warmup, scale }: Timing,
): Promise<Sample> {
  const options = {
    dialect: "socketio",
    path: "/socket.io/?EIO=4&transport=websocket",
    mode: "stream",
    name: "ticker",
    channels: 1,
    per: Math.max(1, Math.ceil((load.connections ?? 1) * scale)),
    every: 0,
    depth: load.depth ?? 1,
    port,
    pid,
    seconds,
    warmup,
  };
  const args = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const [command, ...words] = [...prefix, await buildHubLoad()];
  const { stdout } = await promisify(execFile)(command, [...words, ...args], {
    timeout: LOAD_TIMEOUT,
    killSignal: "SIGKILL",
  });
  const result = JSON.parse(stdout) as {
    perSecond: number;
    serverCpuUs: number;
    serverBusy: number;
    loadBusy: number;
    lost: number;
    doubled: number;
  };
  if (result.lost + result.doubled > 0) throw new Error(`${result.lost} lost, ${result.doubled} duplicated`);
  const { perSecond: rate, serverCpuUs: cpuUs, serverBusy, loadBusy } = result;
  return { rate, cpuUs, serverBusy, loadBusy };
}
