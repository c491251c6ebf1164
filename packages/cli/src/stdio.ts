import { explainSystem } from "./explain.ts";

/** Whether a write failed because the other end of the pipe was closed, as in `tungstate interfaces | head -1`. */
function isReaderGone(error: NodeJS.ErrnoException): boolean {
  return error.code === "EPIPE" || error.code === "ECONNRESET";
}

/**
 * Keeps a failed write to stdout or stderr from ending the process with a stack trace. A reader that went away is not an error. Any other failure
 * of stdout is printed to stderr and gives status 1; a failure of stderr cannot be told to anybody.
 */
export function guardOutput(): void {
  process.stderr.on("error", () => undefined);
  process.stdout.on("error", (error) => {
    if (!isReaderGone(error)) fail(`stdout: ${explainSystem(error)}`);
  });
}

/** Prints lines to stderr, each with the program's name in front. The status becomes 1. */
export function fail(...lines: readonly string[]): void {
  process.exitCode = 1;
  for (const line of lines) process.stderr.write(`tungstate: ${line}\n`);
}
