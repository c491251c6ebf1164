import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");
const WATCH = new URL("./watch.mjs", import.meta.url).href;
const HEAP = 512; // MB

/** What a process did in 100 ms. */
interface Sample {
  /** Unix time in ms. */
  readonly at: number;
  /** The longest iteration of the event loop, in ms of CPU time at most. */
  readonly tick: number;
  /** The same as measured by a timer, including other processes, in ms. */
  readonly lag: number;
  /** CPU time since the start in ms. */
  readonly cpu: number;
  readonly parent: number;
  /** Bytes. */
  readonly rss: number;
  readonly heapUsed: number;
}

/** What a process did in an interval. */
export interface Load {
  readonly pid: number;
  /** Its parent process. */
  readonly parent: number;
  readonly tick: number;
  readonly lag: number;
  readonly cpu: number;
  readonly rss: number;
}

/**
 * Runs `tungstate serve` on a free port, with processes that record their event loops and memory.
 */
export class Watched {
  stdout = "";
  stderr = "";
  /** `stderr` keeps the last million characters. */
  stderrBytes = 0;
  url = "";
  port = 0;
  readonly child: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Default start of the interval for `load`. */
  private from = 0;
  private readonly folder = mkdtempSync(join(tmpdir(), "tungstate-watched-"));
  private wake = (): void => undefined;

  private constructor(args: readonly string[]) {
    const words = [`--max-old-space-size=${HEAP}`, `--import=${WATCH}`, BIN, "serve", "--port", "0", ...args];
    const env = { ...process.env, WATCH_FOLDER: this.folder };
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "pipe"], env });
    this.child = child;
    // it would outlive this process
    const end = (): void => void child.kill("SIGKILL");
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.wake();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderrBytes += Buffer.byteLength(text);
      this.stderr = (this.stderr + text).slice(-1_000_000);
      this.wake();
    });
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        resolve({ code, signal });
        this.wake();
      });
    });
  }

  static async start(...args: readonly string[]): Promise<Watched> {
    const server = new Watched(args);
    const [, url = ""] = await server.shows(/^listening on (\S+)\n/, "stdout");
    server.url = url;
    server.port = Number(new URL(url).port);
    await server.settled();
    server.from = Date.now(); // starting the program is not measured
    return server;
  }

  /** Returns how to start another process so that it is recorded together with this one. */
  get watching(): { readonly execArgv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
    return { execArgv: [`--import=${WATCH}`], env: { WATCH_FOLDER: this.folder } };
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  ws(path: string): string {
    return this.url.replace(/^http/, "ws") + path;
  }

  async shows(pattern: RegExp, where: "stdout" | "stderr"): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[where]);
      if (match !== null) return match;
      if (!this.isRunning) throw new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Returns what each of its processes did from `from` (Unix time in ms) until now. */
  load(from = this.from): readonly Load[] {
    const files = readdirSync(this.folder).filter((name) => name.endsWith(".watch"));
    return files.flatMap((name) => {
      const lines = readFileSync(join(this.folder, name), "utf8").split("\n").slice(0, -1);
      const all = lines.map((line) => JSON.parse(line) as Sample);
      const samples = all.filter(({ at }) => at >= from);
      const last = samples.at(-1);
      if (last === undefined) return [];
      const before = all.findLast(({ at }) => at < from);
      return {
        pid: Number.parseInt(name, 10),
        parent: last.parent,
        tick: Math.max(...samples.map(({ tick }) => tick)),
        lag: Math.max(...samples.map(({ lag }) => lag)),
        cpu: last.cpu - (before?.cpu ?? 0),
        rss: Math.max(...samples.map(({ rss }) => rss)),
      };
    });
  }

  /**
   * As `load`, after each process has recorded its state until now. Does not wait for processes
   * that have ended or are stopped.
   */
  async settled(from = this.from): Promise<readonly Load[]> {
    const until = Date.now();
    const isTold = (): boolean => {
      const [before, now] = [this.load(until - 1_000), this.load(until)];
      const own = now.some(({ pid }) => pid === this.child.pid);
      return own && (now.length >= before.length || Date.now() > until + 1_000);
    };
    while (this.isRunning && !isTold()) await new Promise((resolve) => setTimeout(resolve, 20));
    return this.load(from);
  }

  async stop(): Promise<void> {
    if (this.isRunning) this.child.kill("SIGKILL");
    await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
