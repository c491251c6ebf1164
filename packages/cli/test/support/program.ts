import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");
const LIMIT_MS = 540_000; // ms after which the program is killed and its test fails
const IDLE_LOOKS = 50; // in a row, until a program counts as idle

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Runs `tungstate` with arguments, as a separate process. */
export class Program implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess & { readonly stdin: NonNullable<ChildProcess["stdin"]> };
  readonly exited: Promise<Exit>;
  private changed = (): void => undefined;

  constructor(...args: readonly string[]) {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.child = child;
    child.stdin.on("error", () => undefined); // the program may end before it has read everything
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.changed();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.changed();
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    this.exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal });
        this.changed();
      });
    });
  }

  /** Resolves with the match of `pattern` in stdout or stderr as soon as there is one. */
  async shows(pattern: RegExp, where: "stdout" | "stderr" = "stdout"): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[where]);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`ended without ${pattern} on ${where}:\n${this.stdout}\n${this.stderr}`);
      }
      await new Promise<void>((resolve) => (this.changed = resolve));
    }
  }

  /** Writes stdin and waits for the end of the program. */
  async run(input = ""): Promise<Exit> {
    this.child.stdin.end(input);
    return this.exited;
  }

  /**
   * Waits until the program has read its input, or is idle although there is more: the result is
   * true then.
   */
  async leavesInput(): Promise<boolean> {
    for (let idle = 0; idle < IDLE_LOOKS; idle = this.isIdle() ? idle + 1 : 0) {
      if (!this.child.stdin.writableNeedDrain) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  /** Whether the program waits for events. One that has work but no processor is not idle. */
  private isIdle(): boolean {
    if (process.platform !== "linux") return true;
    const stat = readFileSync(`/proc/${this.child.pid}/stat`, "utf8");
    return stat.startsWith("S", stat.lastIndexOf(")") + 2);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** Runs `tungstate serve` on a free port. */
export class Server extends Program {
  url = "";
  port = 0;

  static async start(...args: readonly string[]): Promise<Server> {
    const server = new Server("serve", "--port", "0", ...args);
    const [, url = ""] = await server.shows(/^listening on (https?:\/\/\S+)\n/);
    server.url = url;
    server.port = Number(new URL(url).port);
    return server;
  }

  ws(path: string): string {
    return this.url.replace(/^http/, "ws") + path;
  }

  /** Returns the value of one line of /metrics. */
  async metric(line: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const found = text.split("\n").find((each) => each.startsWith(`${line} `));
    return found === undefined ? 0 : Number(found.slice(line.length + 1));
  }
}
