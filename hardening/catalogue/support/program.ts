import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import type { TestContext } from "node:test";

export const BIN = join(
  dirname(createRequire(import.meta.url).resolve("@tungstate/cli/package.json")),
  "bin",
  "tungstate.js",
);
const LIMIT_MS = 540_000; // ms after which the program is killed

/** Runs `tungstate` with arguments as a separate process. Killed when the test ends. */
export class Program {
  stdout = "";
  stderr = "";
  /** Resolves with its exit code. */
  readonly ended: Promise<number | null>;
  private wake: (() => void) | undefined;
  private readonly kill: (signal: NodeJS.Signals) => void;

  constructor(t: TestContext, args: readonly string[], input?: string) {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: "pipe", timeout: LIMIT_MS });
    this.kill = (signal) => void child.kill(signal);
    t.after(() => child.kill("SIGKILL"));
    child.stdin.on("error", () => undefined); // the program may end before it has read everything
    if (input !== undefined) child.stdin.end(input);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.wake?.();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.wake?.();
    });
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        resolve(code);
        this.wake?.();
      });
    });
  }

  /** Waits until stdout or stderr matches. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    let over = false;
    void this.ended.then(() => (over = true));
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (match !== null) return match;
      if (over) throw new Error(`ended without ${pattern}: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async stop(): Promise<void> {
    this.kill("SIGTERM");
    await this.ended;
  }
}
