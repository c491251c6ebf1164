import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

const BIN = join(dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")), "bin", "tungstate.js");
const LIMIT_MS = 170_000; // a program that takes longer is ended, and its test fails

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `tungstate` with these arguments, as a process of its own. */
export class Program implements AsyncDisposable {
  stdout = "";
  stderr = "";
  readonly child: ChildProcess & { readonly stdin: NonNullable<ChildProcess["stdin"]> };
  readonly exited: Promise<Exit>;
  private changed = (): void => undefined;

  constructor(...args: readonly string[]) {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.child = child;
    child.stdin.on("error", () => undefined); // it may end before it has read all
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

  /** What stdout and stderr make of `pattern` as soon as they match it. */
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

  /** Gives it all of its stdin and waits for its end. */
  async run(input = ""): Promise<Exit> {
    this.child.stdin.end(input);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** A `tungstate serve` on a free port. */
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

  /** The value of one line of /metrics. */
  async metric(line: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const found = text.split("\n").find((each) => each.startsWith(`${line} `));
    return found === undefined ? 0 : Number(found.slice(line.length + 1));
  }
}
