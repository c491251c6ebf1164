import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

export interface ServerProcess {
  readonly pid: number;
  /** Its child processes, if they serve. */
  readonly workers: readonly number[];
  readonly port: number;
  /** Name and version that the server reports. */
  readonly title: string;
  stop(): Promise<void>;
}

export interface ServerFlags {
  readonly deflate?: boolean;
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly route?: string | undefined;
  readonly option?: string | undefined;
}

const START_TIMEOUT = 60_000; // ms

// Kill all servers when the benchmark ends in any way.
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a server and waits for its line. Rejects with its first line on stderr if it exits
 * instead.
 */
export function startServer(command: readonly string[], flags: ServerFlags = {}): Promise<ServerProcess> {
  const [program = "", ...args] = command;
  const {
    TLS_KEY: _key,
    TLS_CERT: _cert,
    DEFLATE: _deflate,
    ROUTE: _route,
    OPTION: _option,
    ...inherited
  } = process.env;
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...inherited,
      PORT: "0",
      ...(flags.deflate === true ? { DEFLATE: "1" } : {}),
      ...(flags.route === undefined ? {} : { ROUTE: flags.route }),
      ...(flags.option === undefined ? {} : { OPTION: flags.option }),
      ...(flags.tls === undefined ? {} : { TLS_KEY: flags.tls.key, TLS_CERT: flags.tls.cert }),
    },
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(0, 10_000)));
  running.add(child);
  child.on("exit", () => running.delete(child));
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const stop = (): Promise<void> => {
    child.kill("SIGKILL");
    return closed;
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no "listening PORT" within ${START_TIMEOUT / 1000} s`));
      void stop();
    }, START_TIMEOUT);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const said = errors.split("\n").find((line) => line.trim() !== "" && !line.startsWith("    at "));
      reject(new Error(said?.trim() ?? `it exited with ${code ?? signal}`));
    });
    let workers: readonly number[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("workers ")) workers = line.split(" ").slice(1).map(Number);
      const [, port, title = ""] = /^listening (?:on http:\/\/[^ ]*:)?(\d+) ?(.*)$/.exec(line) ?? [];
      if (port === undefined || child.pid === undefined) return;
      clearTimeout(timer);
      resolve({ pid: child.pid, workers, port: Number(port), title, stop });
    });
  });
}
