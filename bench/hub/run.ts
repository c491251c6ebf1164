import { execFile, execFileSync } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { BUILT, buildCeiling, buildHubLoad } from "../load/build.ts";
import type { Latency } from "../load/run.ts";
import { compileScripts } from "../runner/compile.ts";
import { connectionLimit, pinning } from "../runner/machine.ts";
import { type ServerProcess, startServer } from "../runner/server.ts";
import type { Peer, Row } from "./rows.ts";

const SERVERS = fileURLToPath(new URL("servers/", import.meta.url));
const BUILT_SERVERS = join(BUILT, "hub");
const LOAD_TIMEOUT = 90_000; // ms
const REALTIME = ["chrt", "-r", "20"];

/** Errors, and the number of publications. */
interface Checked {
  readonly publications: number;
  /** Publications that were due but skipped, because too many were in flight. */
  readonly skipped: number;
  readonly lost: number;
  readonly doubled: number;
  readonly unrecovered: number;
}

/** A stream of publications. CPU in us for each delivery. */
export interface StreamSample extends Checked {
  readonly deliveries: number;
  readonly perSecond: number;
  readonly publicationsPerSecond: number;
  readonly serverCpuUs: number;
  readonly serverBusy: number;
  readonly loadBusy: number;
  readonly latencyUs?: Latency;
}

/**
 * Publications while subscribers are away, then their recovery. CPU in us for each publication (in)
 * and for each session (out).
 */
export interface ReturnSample extends Checked {
  readonly inSeconds: number;
  readonly inCount: number;
  readonly inCpuUs: number;
  readonly outSeconds: number;
  readonly outCpuUs: number;
  readonly sessions: number;
  /** Sessions that reconnected. */
  readonly back: number;
  readonly serverBusy: number;
  readonly loadBusy: number;
  readonly latencyUs?: Latency;
}

export type Sample = StreamSample | ReturnSample;

export function isReturn(sample: Sample): sample is ReturnSample {
  return "outSeconds" in sample;
}

export interface HubBenchOptions {
  readonly rows: readonly Row[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly seconds: number;
  /** Gives servers and load generator priority over all other programs. */
  readonly realtime: boolean;
  readonly log?: (line: string) => void;
}

/** Samples of all rounds by row and peer, or why there are none. */
export interface HubRun {
  readonly rows: readonly Row[];
  readonly peers: readonly Peer[];
  readonly notes: readonly string[];
  readonly titles: ReadonlyMap<Peer, string>;
  readonly samples: ReadonlyMap<string, readonly (Sample | string)[]>;
}

export function keyOf(row: Row, peer: Peer): string {
  return `${row.name} ${peer}`;
}

/**
 * Runs each row with each server in each round. Servers are restarted for each row, and their order
 * rotates.
 */
export async function runHubBench(options: HubBenchOptions): Promise<HubRun> {
  const { rows, peers, rounds, log = () => {} } = options;
  const program = await buildHubLoad();
  const commands = await prepare(peers);
  const pins = pinning();
  const first = options.realtime ? realtimeWords() : [];
  const { prefix } = connectionLimit();
  const notes = [pins.text, `load average before it ${loadavg()[0]?.toFixed(2)}`];
  if (first.length > 0) notes.push("both with real-time priority");
  const titles = new Map<Peer, string>();
  const samples = new Map<string, (Sample | string)[]>();
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      const some = peers.filter((peer) => row.peers.includes(peer));
      for (const [index] of some.entries()) {
        const peer = some[(index + round) % some.length];
        const command = peer === undefined ? undefined : commands.get(peer);
        if (peer === undefined || command === undefined) continue;
        const outcome = await attempt(async () => {
          const history = row.history === undefined ? [] : [`HISTORY=${row.history}`];
          const server = await startServer(["env", ...history, ...prefix, ...pins.server, ...first, ...command]);
          titles.set(peer, server.title);
          try {
            const load = [...prefix, ...pins.load, ...first, program];
            return checked(peer, await runLoad(load, server, peer, row, options.seconds));
          } finally {
            await server.stop();
          }
        });
        const key = keyOf(row, peer);
        samples.set(key, [...(samples.get(key) ?? []), outcome]);
        log(`round ${round + 1}/${rounds}: ${key}${typeof outcome === "string" ? `: ${outcome}` : ""}`);
      }
    }
  }
  return { rows, peers, notes, titles, samples };
}

async function attempt(work: () => Promise<Sample>): Promise<Sample | string> {
  try {
    return await work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Rejects a result with lost or duplicate publications, or with clients that did not reconnect. */
function checked(peer: Peer, sample: Sample): Sample {
  const { lost, doubled, unrecovered } = sample;
  const away = isReturn(sample) ? sample.sessions - sample.back : 0;
  if (lost + doubled + unrecovered + away === 0) return sample;
  throw new Error(
    `${peer}: ${lost} lost, ${doubled} duplicated, ${unrecovered} not recovered, ${away} not reconnected`,
  );
}

async function prepare(peers: readonly Peer[]): Promise<ReadonlyMap<Peer, readonly string[]>> {
  const scripts = peers.filter((peer) => peer !== "c").map((peer) => join(SERVERS, `${peer}.ts`));
  if (scripts.length > 0) await compileScripts(scripts, BUILT_SERVERS);
  const commands = new Map<Peer, readonly string[]>();
  for (const peer of peers) {
    commands.set(peer, peer === "c" ? [await buildCeiling()] : [process.execPath, join(BUILT_SERVERS, `${peer}.mjs`)]);
  }
  return commands;
}

const DIALECTS: Readonly<Record<Peer, readonly string[]>> = {
  tungstate: ["dialect=hub", "path=/connection/websocket"],
  socketio: ["dialect=socketio", "path=/socket.io/?EIO=4&transport=websocket"],
  sockets: ["dialect=plain"],
  c: ["dialect=plain", "path=/broadcast"],
};

function runLoad(
  [command = "", ...words]: readonly string[],
  { port, pid }: ServerProcess,
  peer: Peer,
  { load }: Row,
  seconds: number,
): Promise<Sample> {
  const args = Object.entries({ ...load, port, pid, seconds, warmup: Math.min(seconds / 2, 1.5) }).map(
    ([name, value]) => `${name}=${value}`,
  );
  return new Promise((resolve, reject) => {
    const options = { timeout: LOAD_TIMEOUT, killSignal: "SIGKILL" } as const;
    execFile(command, [...words, ...DIALECTS[peer], ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as Sample);
      else if (error.killed === true) reject(new Error(`not finished after ${LOAD_TIMEOUT / 1000} s`));
      else reject(new Error(stderr.trim() || error.message));
    });
  });
}

function realtimeWords(): readonly string[] {
  try {
    execFileSync(REALTIME[0] ?? "", [...REALTIME.slice(1), "true"], { stdio: "ignore" });
    return REALTIME;
  } catch {
    throw new Error(`--realtime: this machine or user does not permit "${REALTIME.join(" ")}"`);
  }
}
