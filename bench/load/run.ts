import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { LoadProgram } from "./build.ts";

/** What the load generator is to do; its own defaults (bench/load/load.c) stand where nothing is said. */
export interface LoadOptions {
  readonly mode: "echo" | "broadcast" | "burst" | "handshakes" | "idle";
  readonly path?: string;
  readonly connections?: number;
  /** Messages in flight: per connection, or per sender of a broadcast. */
  readonly depth?: number;
  readonly senders?: number;
  /** Connections with `flooddepth` messages in flight, of which no latency is taken. */
  readonly floods?: number;
  readonly flooddepth?: number;
  readonly bytes?: number;
  readonly type?: "binary" | "text" | "utf8" | "json";
  readonly deflate?: 0 | 1;
  readonly tls?: 0 | 1;
  readonly count?: number;
  readonly times?: number;
  readonly seconds?: number;
  readonly warmup?: number;
  readonly messages?: number;
}

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Echo, broadcast and handshakes. Times in microseconds. */
export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly serverCpuUs: number;
  /** Share of one core. */
  readonly serverBusy: number;
  readonly loadBusy: number;
  /** Cores that other programs had meanwhile, as far as the system tells. */
  readonly othersBusy?: number;
  /** Bytes that came for each message, headers included. */
  readonly wireBytes: number;
  readonly latencyUs: Latency;
  /** Replies that were compared byte by byte. */
  readonly checked: number;
  readonly compressedReplies: number;
}

export interface BurstResult {
  readonly ms: readonly number[];
  readonly serverCpuUs: number;
  readonly checked: number;
}

export interface Target {
  readonly port: number;
  readonly pid: number;
  /** Processes whose CPU time is the server's as well. */
  readonly workers?: readonly number[];
}

/** How to start the load generator: in front, for example, the words that pin it to a core. */
export interface LoadCommand {
  readonly program: LoadProgram;
  readonly prefix: readonly string[];
}

function start({ program, prefix }: LoadCommand, target: Target, options: LoadOptions): ChildProcessWithoutNullStreams {
  const pid = [target.pid, ...(target.workers ?? [])].join(",");
  const args = Object.entries({ ...options, port: target.port, pid }).map(([name, value]) => `${name}=${value}`);
  const [command = program.file, ...rest] = [...prefix, program.file, ...args];
  return spawn(command, rest, { stdio: "pipe" });
}

/** Runs it to its end. Rejects with what it says where a server answers wrongly, stalls or goes away. */
export function runLoad(
  command: LoadCommand,
  target: Target,
  options: LoadOptions & { mode: "burst" },
): Promise<BurstResult>;
export function runLoad(command: LoadCommand, target: Target, options: LoadOptions): Promise<LoadResult>;
export function runLoad(command: LoadCommand, target: Target, options: LoadOptions): Promise<unknown> {
  const child = start(command, target, options);
  child.stdin.end();
  const output = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.err += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(JSON.parse(output.out));
      else reject(new Error(output.err.trim() || `the load generator ended with ${code ?? signal}`));
    });
  });
}

/** Connections that stay: `open(n)` has n of them after it, each having exchanged one message. */
export interface IdleLoad {
  open(connections: number): Promise<{ readonly serverCpu: number }>;
  close(): Promise<void>;
}

export function startIdle(command: LoadCommand, target: Target, options: Omit<LoadOptions, "mode">): IdleLoad {
  const child = start(command, target, { ...options, mode: "idle" });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  child.stdin.on("error", () => {}); // it went away: the missing answer says so
  return {
    async open(connections) {
      child.stdin.write(`${connections}\n`);
      const line = await lines.next();
      if (line.done === true) {
        await closed;
        throw new Error(errors.trim() || "the load generator ended early");
      }
      return JSON.parse(line.value) as { serverCpu: number };
    },
    async close() {
      child.stdin.end();
      await closed;
    },
  };
}
