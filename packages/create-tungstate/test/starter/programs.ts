// Programs that run while something is tested, with their output.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

const TIMEOUT_MS = 120_000; // for a line of output or the end of a program

/** A program with its own process group. */
export class Program implements AsyncDisposable {
  readonly lines: string[] = [];
  private readonly child: ChildProcess;
  private readonly title: string;
  private readonly ended: Promise<number | null>;
  private notify: () => void = () => {};

  constructor([command, args]: [string, string[]], { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }) {
    this.title = args.slice(1).join(" ");
    this.child = spawn(command, args, { cwd, env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        this.notify();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (status) => {
        resolve(status);
        this.notify();
      });
    });
    this.ended.catch(() => {});
  }

  write(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Waits for a line that matches, and returns the match. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.within(
      async () => {
        for (;;) {
          const found = this.lines.map((line) => pattern.exec(line)).find((match) => match !== null);
          if (found !== undefined && found !== null) return found;
          if (this.child.exitCode !== null)
            throw new Error(`${this.title} ended without a line like ${String(pattern)}`);
          await new Promise<void>((resolve) => (this.notify = resolve));
        }
      },
      `a line like ${String(pattern)}`,
    );
  }

  /** Waits for the end and returns the exit status. */
  async end(): Promise<number | null> {
    return this.within(() => this.ended, "the end");
  }

  /** Waits for the end, which must have the status 0. */
  async succeed(): Promise<void> {
    const status = await this.end();
    if (status !== 0) throw new Error(`${this.title} ended with ${status}\n${this.lines.join("\n")}`);
  }

  /** Closes stdin. */
  finish(): void {
    this.child.stdin?.end();
  }

  /** Sends a signal to all processes of the group. */
  signal(signal: NodeJS.Signals): void {
    if (this.child.pid === undefined || this.child.exitCode !== null) return;
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // the group has ended
    }
  }

  private async within<T>(work: () => Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`${this.title}: no ${what} in ${TIMEOUT_MS / 1000} s\n${this.lines.join("\n")}`));
      }, TIMEOUT_MS);
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.ended.catch(() => {});
  }
}
