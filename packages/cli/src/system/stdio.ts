import { explainSystem } from "./explain.ts";

/**
 * Returns whether a write failed because the reader closed the pipe, as in `tungstate interfaces |
 * head -1`.
 */
function isReaderGone(error: NodeJS.ErrnoException): boolean {
  return error.code === "EPIPE" || error.code === "ECONNRESET";
}

/**
 * Prevents a failed write to stdout or stderr from ending the process with a stack trace. A closed
 * reader is not an error. Other failures of stdout are printed to stderr and set the exit status to
 * 1; failures of stderr cannot be reported.
 */
export function guardOutput(): void {
  process.stderr.on("error", () => undefined);
  process.stdout.on("error", (error) => {
    if (!isReaderGone(error)) fail(`stdout: ${explainSystem(error)}`);
  });
}

/** Prints lines to stderr, each prefixed with the program's name. Sets the exit status to 1. */
export function fail(...lines: readonly string[]): void {
  process.exitCode = 1;
  for (const line of lines) process.stderr.write(`tungstate: ${line}\n`);
}
