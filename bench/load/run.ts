import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { LoadProgram } from "./build.ts";

/** Options of the load generator. Its defaults are in bench/load/load.c. */
export interface LoadOptions {
  readonly mode: "echo" | "broadcast" | "burst" | "handshakes" | "idle";
  readonly path?: string;
  readonly connections?: number;
  /** Messages in flight for each connection, or for each sender of a broadcast. */
  readonly depth?: number;
  readonly senders?: number;
  /** Connections with `flooddepth` messages in flight, whose latency is not measured. */
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

/** Results of echo, broadcast and handshake rows. Times in microseconds. */
export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly serverCpuUs: number;
  /** CPU use in cores. */
  readonly serverBusy: number;
  readonly loadBusy: number;
  /** CPU use of other programs in cores, if the system reports it. */
  readonly othersBusy?: number;
  /** Bytes received for each message, headers included. */
  readonly wireBytes: number;
  readonly latencyUs: Latency;
  /** Replies compared byte by byte. */
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
  /** Processes whose CPU time is added to the server's. */
  readonly workers?: readonly number[];
}

/** Prefix of the load generator's command, for example to pin it to a core. */
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

/**
 * Runs the load generator to its end. Rejects with its message if the server answers incorrectly,
 * stalls or disconnects.
 */
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

/** Idle connections: `open(n)` raises their number to n, each after one message. */
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
  child.stdin.on("error", () => {}); // the missing answer reports that it ended
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
